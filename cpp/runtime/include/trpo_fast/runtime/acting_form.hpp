// The acting form in a policy file, read and checked: everything that acting needs (docs/robotics.md has the table).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "action.hpp"
#include "aligned.hpp"
#include "dense.hpp"
#include "load_status.hpp"
#include "network_form.hpp"
#include "policy_file.hpp"

namespace trpo_fast::runtime {

// It is valid as long as the file's content is in memory.
struct ActingForm {
  NetworkForm network;
  AlignedFloats mean_high, mean_low, inv_std;  // (padded(num_features)), zeros behind
  float clip = 0.0f;
  ActionKind action_kind = ActionKind::box;
  int action_size = 0;
  std::vector<float> low, high;  // of a box
  bool squash = false;
  std::vector<float> std;                 // of a box; empty if the network puts out its logarithm
  std::vector<std::int32_t> num_choices;  // of choices
  std::vector<float> first;               // (action_size), added to the numbers of choices; otherwise 0
  int mask_size = 0;                      // 0 without masks
};

namespace detail {

constexpr std::int64_t kMaxChoices = std::int64_t{1} << 20;  // of one part of an action
constexpr std::int64_t kMaxExact = std::int64_t{1} << 24;    // up to here, float32 holds every integer

class FormReader : NetworkReader {
 public:
  FormReader(const PolicyFile& file, ActingForm& form, LoadProblem& problem)
      : NetworkReader(file, form.network, problem), form_(form) {}

  bool read() { return read_network() && read_normalizer() && read_action(); }

 private:
  bool read_normalizer() {
    std::vector<float> clip;
    if (!features("acting.mean_high", form_.mean_high) || !features("acting.mean_low", form_.mean_low) ||
        !features("acting.inv_std", form_.inv_std) || !numbers("acting.clip", {}, clip)) {
      return false;
    }
    form_.clip = clip[0];
    if (!are_finite(form_.mean_high) || !are_finite(form_.mean_low)) return unfit("a finite mean");
    const auto is_possible = [](float x) { return (std::isfinite)(x) && x >= 0.0f; };
    return (std::all_of(form_.inv_std.begin(), form_.inv_std.end(), is_possible) && form_.clip > 0.0f) ||
           unfit("acting.inv_std of 0 or more and acting.clip above 0");
  }

  bool read_action() {
    std::int64_t kind = 0;
    if (!number("acting.action_kind", static_cast<std::int64_t>(ActionKind::bits), kind)) return false;
    form_.action_kind = static_cast<ActionKind>(kind);
    form_.action_size = form_.network.num_outputs();  // of bits
    if (form_.action_kind == ActionKind::box && !read_box()) return false;
    if (form_.action_kind == ActionKind::choices && !read_choices()) return false;
    form_.first.resize(static_cast<std::size_t>(form_.action_size));
    return true;
  }

  bool read_box() {
    std::int64_t squash = 0;
    const std::int64_t num_outputs = form_.action_size, size = length("acting.low");
    if (size < 1 || (size != num_outputs && 2 * size != num_outputs)) return unfit("acting.low that fits the outputs");
    if (!numbers("acting.low", {1, {size}}, form_.low) || !numbers("acting.high", {1, {size}}, form_.high) ||
        !number("acting.squash", 1, squash)) {
      return false;
    }
    if (size == num_outputs) {
      const auto log_std = parameters("policy.log_std", {1, {size}});
      if (!log_std) return false;
      constexpr auto kLow = static_cast<float>(kMinLogStd), kHigh = static_cast<float>(kMaxLogStd);
      form_.std.resize(log_std->size());
      for (std::size_t j = 0; j < form_.std.size(); ++j) form_.std[j] = std::exp(clamp((*log_std)[j], kLow, kHigh));
    }
    form_.action_size = static_cast<int>(size);
    form_.squash = squash == 1;
    for (std::size_t j = 0; j < form_.low.size(); ++j) {
      const float low = form_.low[j], high = form_.high[j];
      if ((std::isnan)(low) || (std::isnan)(high)) return unfit("acting.low and acting.high that are numbers");
      if (low > high) return unsupported("bounds of actions that float32 can tell apart");
      if ((std::isinf)(low) && (low > 0.0f || form_.squash)) {
        return unfit("acting.low below infinity, and finite if squashed");
      }
      if ((std::isinf)(high) && (high < 0.0f || form_.squash)) {
        return unfit("acting.high above -infinity, and finite if squashed");
      }
    }
    return true;
  }

  bool read_choices() {
    std::vector<std::int64_t> num_choices, start;
    std::int64_t is_masked = 0, sum = 0;
    const std::int64_t size = length("acting.num_choices");
    if (size < 1) return unfit("a list of acting.num_choices");
    if (!numbers("acting.num_choices", {1, {size}}, num_choices) || !numbers("acting.start", {1, {size}}, start) ||
        !number("acting.is_masked", 1, is_masked)) {
      return false;
    }
    form_.num_choices.reserve(num_choices.size());
    form_.first.reserve(start.size());
    for (std::size_t j = 0; j < num_choices.size(); ++j) {
      const std::int64_t n = num_choices[j];
      if (n < 1 || n > kMaxChoices) return unfit("acting.num_choices in 1..2^20");
      if (start[j] < -kMaxExact || start[j] > kMaxExact - n) return unsupported("choices that float32 can count");
      sum += n;
      form_.num_choices.push_back(static_cast<std::int32_t>(n));
      form_.first.push_back(static_cast<float>(start[j]));
    }
    const int num_outputs = form_.action_size;
    if (sum != num_outputs) return unfit("an output for each choice");
    form_.action_size = static_cast<int>(size);
    form_.mask_size = is_masked == 1 ? num_outputs : 0;
    return true;
  }

  // A number for each feature, with zeros behind.
  bool features(const char* name, AlignedFloats& to) {
    const auto room = static_cast<std::size_t>(padded(form_.network.num_features));
    to.reserve(room);
    if (!numbers(name, {1, {form_.network.num_features}}, to)) return false;
    to.resize(room);
    return true;
  }

  template <class Values>
  static bool are_finite(const Values& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return (std::isfinite)(x); });
  }

  ActingForm& form_;
};

}  // namespace detail

// The acting form in `file`; false, and why, if there is none that can act.
inline bool read_acting_form(const PolicyFile& file, ActingForm& form, LoadProblem& problem) {
  return detail::FormReader(file, form, problem).read();
}

}  // namespace trpo_fast::runtime
