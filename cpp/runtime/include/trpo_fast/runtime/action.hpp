// From distribution parameters to an action: its most probable value or a sample, within the space.
//
// An action row is what is decided on: of a box the action itself, of choices their numbers from 0, of bits 0 and 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../common/log_std_bounds.hpp"
#include "../common/probability.hpp"

namespace trpo_fast::runtime {

enum class ActionKind : std::uint8_t { box, choices, bits };

// Of a policy; what the pointers point at is somebody else's.
struct ActionSpace {
  ActionKind kind;
  int size;                         // A: dimensions of a box, choices, bits
  const float* low;                 // (A) of a box
  const float* high;                // (A) of a box
  bool squash;                      // a box is reached through tanh, not clipped at
  const float* std;                 // (A) of a box; null: log standard deviations follow the means
  const std::int32_t* num_choices;  // (A) of choices
};

namespace detail {

inline float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }  // NaN stays

inline int most_probable(const float* logits, int n) {
  return static_cast<int>(std::max_element(logits, logits + n) - logits);
}

// The first choice whose cumulative probability exceeds that of normal noise.
inline int sample_choice(const float* logits, int n, float noise) {
  const double top = static_cast<double>(*std::max_element(logits, logits + n));
  double sum = 0.0;
  for (int i = 0; i < n; ++i) sum += std::exp(static_cast<double>(logits[i]) - top);
  const double u = normal_cdf(static_cast<double>(noise)) * sum;
  double cumulative = 0.0;
  int choice = 0;
  for (int i = 0; i < n; ++i) {
    const double weight = std::exp(static_cast<double>(logits[i]) - top);
    if (weight > 0.0) choice = i;  // rounding may leave the sum at u: the last possible choice stands
    cumulative += weight;
    if (cumulative > u) break;
  }
  return choice;
}

}  // namespace detail

inline int num_dist_params(const ActionSpace& space) {
  if (space.kind == ActionKind::choices) {
    int sum = 0;
    for (int j = 0; j < space.size; ++j) sum += space.num_choices[j];
    return sum;
  }
  return space.kind == ActionKind::box && space.std == nullptr ? 2 * space.size : space.size;
}

// Whether `mask`, of choices, is zeros and ones, and leaves each choice one at least.
inline bool is_mask(const ActionSpace& space, const float* mask) {
  for (int j = 0; j < space.size; mask += space.num_choices[j++]) {
    bool leaves_one = false;
    for (int i = 0; i < space.num_choices[j]; ++i) {
      if (mask[i] != 0.0f && mask[i] != 1.0f) return false;
      leaves_one |= mask[i] == 1.0f;
    }
    if (!leaves_one) return false;
  }
  return true;
}

namespace detail {

// phi = [mean] or [mean, log_std] becomes the action, or the sample, before its bounds.
inline bool decide_box(const ActionSpace& space, float* phi, const float* noise, float* row) {
  for (int j = 0; j < space.size && noise != nullptr; ++j) {
    constexpr auto kLow = static_cast<float>(kMinLogStd), kHigh = static_cast<float>(kMaxLogStd);
    const float std = space.std != nullptr ? space.std[j] : std::exp(clamp(phi[space.size + j], kLow, kHigh));
    phi[j] += std * noise[j];
  }
  if (!std::all_of(phi, phi + space.size, [](float z) { return (std::isfinite)(z); })) return false;
  for (int j = 0; j < space.size; ++j) {
    const float low = space.low[j], high = space.high[j];
    const float middle = 0.5f * low + 0.5f * high, half = 0.5f * high - 0.5f * low;
    row[j] = clamp(space.squash ? middle + half * std::tanh(phi[j]) : phi[j], low, high);
  }
  return true;
}

inline void decide_choices(const ActionSpace& space, const float* logits, const float* noise, float* row) {
  for (int j = 0; j < space.size; logits += space.num_choices[j++]) {
    const int n = space.num_choices[j];
    row[j] = static_cast<float>(noise == nullptr ? most_probable(logits, n) : sample_choice(logits, n, noise[j]));
  }
}

inline void decide_bits(const ActionSpace& space, const float* logits, const float* noise, float* row) {
  for (int j = 0; j < space.size; ++j) {
    const auto z = static_cast<double>(logits[j]);
    const bool set = noise == nullptr ? z > 0.0 : normal_cdf(static_cast<double>(noise[j])) < sigmoid(z);
    row[j] = set ? 1.0f : 0.0f;
  }
}

}  // namespace detail

// The action row of distribution parameters, finite but for logits of what is impossible: the most probable, or with
// noise (A), standard normal, a sample. False, and the row as it was, if that would not be finite.
inline bool decide(const ActionSpace& space, float* phi, const float* noise, float* row) {
  if (noise != nullptr && !std::all_of(noise, noise + space.size, [](float z) { return (std::isfinite)(z); })) {
    return false;
  }
  switch (space.kind) {
    case ActionKind::box:
      return detail::decide_box(space, phi, noise, row);
    case ActionKind::choices:
      detail::decide_choices(space, phi, noise, row);
      return true;
    case ActionKind::bits:
      detail::decide_bits(space, phi, noise, row);
      return true;
  }
  return false;
}

// 0, or the bound next to it; of choices the first
inline void zero_action(const ActionSpace& space, float* row) {
  for (int j = 0; j < space.size; ++j) {
    row[j] = space.kind == ActionKind::box ? detail::clamp(0.0f, space.low[j], space.high[j]) : 0.0f;
  }
}

// Moves choices that `mask` forbids to the first that it leaves.
inline void make_possible(const ActionSpace& space, const float* mask, float* row) {
  for (int j = 0; j < space.size; mask += space.num_choices[j++]) {
    if (mask[static_cast<int>(row[j])] == 0.0f) {
      row[j] = static_cast<float>(std::find(mask, mask + space.num_choices[j], 1.0f) - mask);
    }
  }
}

}  // namespace trpo_fast::runtime
