// From an observation to an action: what Policy and FixedPolicy share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <limits>

#include "action.hpp"
#include "normalizer.hpp"
#include "status.hpp"

namespace trpo_fast::runtime {

// A policy without its network; what the pointers point at is somebody else's.
struct Acting {
  Normalizer normalizer;
  int num_features;  // of an observation, without the mask
  bool has_mask;
  ActionSpace space;
  const float* first;  // (A): added to the numbers of choices, else 0
  Fallback fallback;
};

// `row` receives the action row if the status is ok. `forward` gives null if an image does not fit.
template <class Forward>
ActStatus decide_row(const Acting& policy, const float* observation, const float* mask, const float* noise,
                     float* input, Forward&& forward, float* row) {
  if (mask != nullptr && !is_mask(policy.space, mask)) return ActStatus::bad_mask;
  if (observation != nullptr) {
    std::memcpy(input, observation, static_cast<std::size_t>(policy.num_features) * sizeof(float));
  } else if (policy.num_features > 0 || policy.has_mask) {  // only one of images alone may be null
    return ActStatus::bad_observation;
  }
  if (!normalize(policy.normalizer, input, policy.num_features, input)) return ActStatus::bad_observation;
  float* phi = forward(input);
  if (phi == nullptr) return ActStatus::bad_image;
  const int n = num_dist_params(policy.space);
  if (!std::all_of(phi, phi + n, [](float x) { return (std::isfinite)(x); })) return ActStatus::non_finite_output;
  for (int i = 0; i < n && mask != nullptr; ++i) {
    if (mask[i] == 0.0f) phi[i] = -std::numeric_limits<float>::infinity();
  }
  return decide(policy.space, phi, noise, row) ? ActStatus::ok : ActStatus::non_finite_output;
}

// One action. `row` holds the latest action row; `forward` makes distribution parameters of inputs, in memory of its
// own.
template <class Forward>
ActStatus act(const Acting& policy, const float* observation,  // (num_features, then the mask)
              const float* noise,                              // (A), or null for the most probable action
              float* input,                                    // (padded(num_features)), zeros behind num_features
              Forward&& forward, float* row,                   // (A)
              float* action                                    // (A)
) {
  const float* mask = policy.has_mask && observation != nullptr ? observation + policy.num_features : nullptr;
  const ActStatus status = decide_row(policy, observation, mask, noise, input, forward, row);
  if (status != ActStatus::ok) {
    if (policy.fallback == Fallback::zero) zero_action(policy.space, row);
    if (mask != nullptr && status != ActStatus::bad_mask) make_possible(policy.space, mask, row);
  }
  std::transform(row, row + policy.space.size, policy.first, action, std::plus<float>());
  return status;
}

}  // namespace trpo_fast::runtime
