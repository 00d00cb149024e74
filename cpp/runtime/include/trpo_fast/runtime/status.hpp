// What acting came to.
#pragma once

#include <cstdint>

namespace trpo_fast::runtime {

enum class ActStatus : std::uint8_t {
  ok,
  bad_observation,    // not finite, or of magnitude above 1e18; null where there should be numbers
  bad_mask,           // not zeros and ones, or it leaves a choice nothing
  non_finite_output,  // the network's output, or the noise, is not finite
  bad_image,          // more or fewer images than the policy has, or of other sizes, or nowhere
};

// What stands in for an action where the status is not ok.
enum class Fallback : std::uint8_t {
  hold_last,  // the last good action; before there is one, as zero
  zero,       // 0 or the bound next to it; the first choice
};

inline const char* to_string(ActStatus status) {
  switch (status) {
    case ActStatus::ok:
      return "ok";
    case ActStatus::bad_observation:
      return "bad observation";
    case ActStatus::bad_mask:
      return "bad mask";
    case ActStatus::non_finite_output:
      return "non-finite output";
    case ActStatus::bad_image:
      return "bad image";
  }
  return "?";
}

}  // namespace trpo_fast::runtime
