// Observations as the network's inputs.
#pragma once

#include "lanes.hpp"

namespace trpo_fast::runtime {

constexpr float kMaxMagnitude = 1e18f;  // of an observation that a policy acts on

// clip((x - mean) / std). The mean is in two parts, whose sum has the bits of a double: where x is near it, and the
// difference small, x - high is exact.
struct Normalizer {
  const float* mean_high;  // (padded(size)) each, zeros behind
  const float* mean_low;
  const float* inv_std;
  float clip;  // infinite if observations pass unchanged
};

// Whether all of x is finite and of magnitude up to kMaxMagnitude; if so, z are the inputs. Only whole registers are
// read: x and z have padded(size).
inline bool normalize(const Normalizer& normalizer, const float* x, int size, float* z) {
  const Lanes most = Lanes{} + kMaxMagnitude;
  const Lanes clip = Lanes{} + normalizer.clip;
  Flags fit = Lanes{} <= most;
  for (int j = 0; j < size; j += kLanes) {
    const Lanes raw = load(x + j);
    const Lanes centred = (raw - load(normalizer.mean_high + j)) - load(normalizer.mean_low + j);
    fit = fit & (raw <= most) & (raw >= -most);  // a NaN is neither
    store(at_most(clip, at_least(-clip, centred * load(normalizer.inv_std + j))), z + j);
  }
  return all(fit);
}

}  // namespace trpo_fast::runtime
