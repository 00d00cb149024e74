"""The text of exported C and C++; ``$`` marks what ``sources`` fills in.

Several policies may be in one program, and even in one translation unit: what is not local to a function has the
policy's name. Names are lower-case, which platforms leave alone in their macros, but for those of our own macros.
"""

C_HEADER = """\
/* $name: a policy that trpo_fast $version trained for $steps steps. */
#ifndef TRPO_FAST_${name}_H
#define TRPO_FAST_${name}_H

#define ${NAME}_OBSERVATION_SIZE $observation_size /* the last $mask_size of them an action mask */
${image_sizes}#define ${NAME}_ACTION_SIZE $action_size

$interface#ifdef __cplusplus
extern "C" {
#endif

/* The most probable action for an observation. Returns 0; or, and leaves `action` as it was,
   1 if an observation is not finite or of magnitude above 1e18, 2 if a mask is none, 3 if the network
   overflows.$once */
int ${name}_act($parameters);

/* How many golden vectors fail on this machine. It is in $test. */
int ${name}_self_test(void);

#ifdef __cplusplus
}
#endif

#endif
"""

C_SOURCE = """\
/* $name: a policy that trpo_fast $version trained for $steps steps. C99; needs tanhf and expf alone. */
#include "$stem.h"

#include <float.h>
#include <math.h>

#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math and -ffinite-math-only remove the checks that keep actions safe: compile without them"
#endif

$helpers
int ${name}_act($parameters) {
  enum { num_features = $num_features, num_outputs = $num_outputs, action_size = $action_size };
$constants
$memory
  const float *phi = $phi;
  int i;
$calls
  for (i = 0; i < num_outputs; ++i) {
    if (!(phi[i] >= -FLT_MAX && phi[i] <= FLT_MAX)) return 3;
  }
$decide
  return 0;
}
"""

HELPERS = {  # functions of a source, those that it calls
    "clamp": """\
static float ${name}_clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
""",
    "tanh": """\
static float ${name}_tanh(float z) { return tanhf(z); }
""",
    "relu": """\
static float ${name}_relu(float z) { return z < 0.0f ? 0.0f : z; }
""",
    "elu": """\
static float ${name}_elu(float z) { return z > 0.0f ? z : expf(z) - 1.0f; }
""",
    "silu": """\
static float ${name}_silu(float z) { return z / (1.0f + expf(-z)); }
""",
    "dense": """\
/* y = b + W x */
static void ${name}_dense(const float *weight, const float *bias, const float *x, int inputs, int outputs, float *y) {
  int i, k;
  for (i = 0; i < outputs; ++i) {
    float sum = bias[i];
    for (k = 0; k < inputs; ++k) sum += weight[i * inputs + k] * x[k];
    y[i] = sum;
  }
}
""",
    "conv2d": """\
/* y = b + W * x of an image x (height, width, channels); weight is (kernel_height, kernel_width, channels, filters) */
static void ${name}_conv2d(const float *weight, const float *bias, const float *x, int height, int width, int channels,
                           int filters, int kernel_height, int kernel_width, int stride, int padding, float *y) {
  const int out_height = (height + 2 * padding - kernel_height) / stride + 1;
  const int out_width = (width + 2 * padding - kernel_width) / stride + 1;
  int i, ky, kx, c, o;
  for (i = 0; i < out_height * out_width; ++i, y += filters) {
    for (o = 0; o < filters; ++o) y[o] = bias[o];
    for (ky = 0; ky < kernel_height; ++ky) {
      const int iy = i / out_width * stride + ky - padding;
      if (iy < 0 || iy >= height) continue;
      for (kx = 0; kx < kernel_width; ++kx) {
        const int ix = i % out_width * stride + kx - padding;
        if (ix < 0 || ix >= width) continue;
        for (c = 0; c < channels; ++c) {
          const float x_c = x[(iy * width + ix) * channels + c];
          const float *w = weight + ((ky * kernel_width + kx) * channels + c) * filters;
          for (o = 0; o < filters; ++o) y[o] += x_c * w[o];
        }
      }
    }
  }
}
""",
    "flatten": """\
/* (pixels, channels) to (channels, pixels) */
static void ${name}_flatten(const float *x, int pixels, int channels, float *y) {
  int i, c;
  for (c = 0; c < channels; ++c) {
    for (i = 0; i < pixels; ++i) *y++ = x[i * channels + c];
  }
}
""",
    "image": """\
/* inputs (pixels, channels) = scale * image, whose pixels and channels are that many bytes apart */
static void ${name}_image(const unsigned char *image, float scale, int pixels, int channels, int pixel_step,
                          int channel_step, float *inputs) {
  int i, c;
  for (i = 0; i < pixels; ++i) {
    for (c = 0; c < channels; ++c) *inputs++ = scale * (float)image[i * pixel_step + c * channel_step];
  }
}
""",
}

FEATURES = """\
  {
    static const float mean_high[] = $mean_high; /* the mean is the sum of two parts */
    static const float mean_low[] = $mean_low;
    static const float inv_std[] = $inv_std;
    for (i = 0; i < num_features; ++i) {
      const float x = observation[i];
      if (!(x >= -1e18f && x <= 1e18f)) return 1;
      buffer_0[i] = ${name}_clamp(((x - mean_high[i]) - mean_low[i]) * inv_std[i], -$clip, $clip);
    }
  }"""

DECIDE = {
    "box": """\
  {
    static const float low[] = $low, high[] = $high;
    for (i = 0; i < action_size; ++i) action[i] = ${name}_clamp(phi[i], low[i], high[i]);
  }""",
    "box_squashed": """\
  {
    static const float low[] = $low, high[] = $high;
    for (i = 0; i < action_size; ++i) {
      const float middle = 0.5f * low[i] + 0.5f * high[i], half = 0.5f * high[i] - 0.5f * low[i];
      action[i] = ${name}_clamp(middle + half * tanhf(phi[i]), low[i], high[i]);
    }
  }""",
    "choices": """\
  {
    enum { mask_size = $mask_size };
    static const int choices[] = $choices, first[] = $first;
    const float *mask = $mask;
    int best[action_size], j, begin = 0;
    for (i = 0; i < action_size; begin += choices[i++]) {
      best[i] = -1;
      for (j = 0; j < choices[i]; ++j) {
        if (mask_size > 0 && mask[begin + j] != 0.0f && mask[begin + j] != 1.0f) return 2;
        if (mask_size > 0 && mask[begin + j] == 0.0f) continue;
        if (best[i] < 0 || phi[begin + j] > phi[begin + best[i]]) best[i] = j;
      }
      if (best[i] < 0) return 2;
    }
    for (i = 0; i < action_size; ++i) action[i] = (float)(first[i] + best[i]);
  }""",
    "bits": """\
  for (i = 0; i < action_size; ++i) action[i] = phi[i] > 0.0f ? 1.0f : 0.0f;""",
}

C_TEST = """\
/* Golden vectors of $name: ${name}_self_test() is how many of them fail on this machine. */
#include "$stem.h"

#include <math.h>
$fill
int ${name}_self_test(void) {
$vectors
  static const float actions[] = $actions;
  int n, i, num_failures = 0;
  for (n = 0; n < $count; ++n) {
    float action[${NAME}_ACTION_SIZE];
    int fails = 0;
$filled    fails = ${name}_act($arguments) != 0;
    for (i = 0; i < ${NAME}_ACTION_SIZE && !fails; ++i) {
      const float expected = actions[n * ${NAME}_ACTION_SIZE + i];
      fails = !(fabsf(action[i] - expected) <= $tolerance * fmaxf(1.0f, fabsf(expected)));
    }
    num_failures += fails;
  }
  return num_failures;
}

#ifndef ${NAME}_NO_MAIN
#include <stdio.h>
int main(void) {
  const int num_failures = ${name}_self_test();
  printf("%d of $count golden vectors fail\\n", num_failures);
  return num_failures != 0;
}
#endif
"""

FILL = """\
#include <stdint.h>

/* The golden image of that seed, of shape (a, b, c): blocks of random shades, which are that many bits apart. */
static void ${name}_fill(uint32_t seed, int a, int b, int c, int bits_a, int bits_b, int bits_c, unsigned char *image) {
  int i, j, k;
  for (i = 0; i < a; ++i) {
    for (j = 0; j < b; ++j) {
      for (k = 0; k < c; ++k) {
        uint32_t h = seed * 0x9e3779b1u + (uint32_t)(i >> bits_a) * 0x85ebca77u;
        h += (uint32_t)(j >> bits_b) * 0xc2b2ae3du + (uint32_t)(k >> bits_c) * 0x27d4eb2fu;
        h = (h ^ h >> 15) * 0x2c1b3c6du;
        *image++ = (unsigned char)((h ^ h >> 12) >> 24);
      }
    }
  }
}
"""

CPP_HEADER = """\
// $name: a policy that trpo_fast $version trained for $steps steps. Needs the headers of trpo_fast's runtime.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "trpo_fast/fixed_policy.hpp"

struct ${name}_spec {
  static constexpr auto kSizes = $sizes;
  static constexpr int kMaskSize = $mask_size;
  static constexpr auto kActivation = trpo_fast::runtime::Activation::$activation;
  alignas(trpo_fast::runtime::Lanes) static constexpr auto kMeanHigh = $mean_high;
  alignas(trpo_fast::runtime::Lanes) static constexpr auto kMeanLow = $mean_low;
  alignas(trpo_fast::runtime::Lanes) static constexpr auto kInvStd = $inv_std;
  static constexpr float kClip = $clip;
  static constexpr auto kActionKind = trpo_fast::runtime::ActionKind::$kind;
  static constexpr int kActionSize = $action_size;
  static constexpr auto kLow = $low;
  static constexpr auto kHigh = $high;
  static constexpr bool kSquash = $squash;
  static constexpr auto kStd = $std;
  static constexpr auto kNumChoices = $choices;
  static constexpr auto kFirst = $first;
  alignas(trpo_fast::runtime::Lanes) static constexpr auto kParameters = $parameters;
};

using ${name}_policy = trpo_fast::runtime::FixedPolicy<${name}_spec>;

$interface// How many golden vectors fail on this machine. It is in $test.
int ${name}_self_test();
"""

CPP_TEST = """\
// Golden vectors of $name: ${name}_self_test() is how many of them fail on this machine.
#include "$stem.hpp"

#include <cmath>

int ${name}_self_test() {
  static constexpr float kObservations[] = $observations;
  static constexpr float kActions[] = $actions;
  ${name}_policy acting;
  int num_failures = 0;
  for (int n = 0; n < $count; ++n) {
    float action[${name}_policy::kActionSize];
    const auto status = acting.act(kObservations + n * ${name}_policy::kObservationSize, action);
    bool fails = status != trpo_fast::runtime::ActStatus::ok;
    for (int i = 0; i < ${name}_policy::kActionSize && !fails; ++i) {
      const float expected = kActions[n * ${name}_policy::kActionSize + i];
      fails = !((std::abs)(action[i] - expected) <= $tolerance * (std::fmax)(1.0f, (std::abs)(expected)));
    }
    num_failures += fails ? 1 : 0;
  }
  return num_failures;
}

#ifndef ${NAME}_NO_MAIN
#include <cstdio>
int main() {
  const int num_failures = ${name}_self_test();
  std::printf("%d of $count golden vectors fail\\n", num_failures);
  return num_failures != 0;
}
#endif
"""
