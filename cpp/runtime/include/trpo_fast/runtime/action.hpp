// From distribution parameters to an action: its most probable value or a sample, within the space.
//
// An action row is what is decided on: of a box the action itself, of choices their numbers from 0, of bits 0 and 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

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

constexpr double kMinLogStd = -20.0;
constexpr double kMaxLogStd = 2.0;

inline float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }  // NaN stays

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

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

inline double sigmoid(double x) {
  const double tail = std::exp(-std::abs(x));
  return (x >= 0.0 ? 1.0 : tail) / (1.0 + tail);
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

// The action row of distribution parameters, finite but for logits of what is impossible: the most probable, or with
// noise (A), standard normal, a sample. False, and no row, if it would not be finite.
inline bool decide(const ActionSpace& space, const float* phi, const float* noise, float* row) {
  if (noise != nullptr && !std::all_of(noise, noise + space.size, [](float z) { return std::isfinite(z); })) {
    return false;
  }
  const int n = space.size;
  for (int j = 0; j < n; ++j) {
    switch (space.kind) {
      case ActionKind::box: {
        float z = phi[j];
        if (noise != nullptr) {
          const float log_std = space.std != nullptr ? 0.0f
                                                     : detail::clamp(phi[n + j], static_cast<float>(detail::kMinLogStd),
                                                                     static_cast<float>(detail::kMaxLogStd));
          z += (space.std != nullptr ? space.std[j] : std::exp(log_std)) * noise[j];
        }
        if (!std::isfinite(z)) return false;
        const float low = space.low[j], high = space.high[j];
        if (space.squash) z = (0.5f * low + 0.5f * high) + (0.5f * high - 0.5f * low) * std::tanh(z);
        row[j] = detail::clamp(z, low, high);
        break;
      }
      case ActionKind::choices: {
        const int choices = space.num_choices[j];
        row[j] = static_cast<float>(noise == nullptr ? detail::most_probable(phi, choices)
                                                     : detail::sample_choice(phi, choices, noise[j]));
        phi += choices;
        break;
      }
      case ActionKind::bits: {
        const double z = static_cast<double>(phi[j]);
        const bool set =
            noise == nullptr ? z > 0.0 : detail::normal_cdf(static_cast<double>(noise[j])) < detail::sigmoid(z);
        row[j] = set ? 1.0f : 0.0f;
        break;
      }
    }
  }
  return true;
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
