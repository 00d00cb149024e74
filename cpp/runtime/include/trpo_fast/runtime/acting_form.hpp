// The acting form in a policy file, read and checked: everything that acting needs (docs/robotics.md has the table).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "action.hpp"
#include "activation.hpp"
#include "load_status.hpp"
#include "policy_file.hpp"

namespace trpo_fast::runtime {

struct DenseParts {
  int num_inputs, num_outputs;
  std::vector<float> weight;  // (num_outputs, num_inputs), row-major
  std::vector<float> bias;
};

struct ActingForm {
  std::vector<DenseParts> layers;
  Activation activation = Activation::identity;     // of hidden layers
  std::vector<float> mean_high, mean_low, inv_std;  // (num_features)
  float clip = 0.0f;
  ActionKind action_kind = ActionKind::box;
  int action_size = 0;
  std::vector<float> low, high;  // of a box
  bool squash = false;
  std::vector<float> std;                 // of a box; empty if the network puts out its logarithm
  std::vector<std::int32_t> num_choices;  // of choices
  std::vector<float> first;               // (action_size), added to the numbers of choices; otherwise 0
  int mask_size = 0;                      // 0 without masks

  int num_features() const { return layers.front().num_inputs; }
};

namespace detail {

constexpr std::int64_t kMaxWidth = (std::int64_t{1} << 30) - 1;
constexpr std::int64_t kMaxChoices = std::int64_t{1} << 20;  // of one part of an action
constexpr std::int64_t kMaxExact = std::int64_t{1} << 24;    // up to here, float32 holds every integer

class FormReader {
 public:
  FormReader(const PolicyFile& file, ActingForm& form, LoadProblem& problem)
      : file_(file), form_(form), problem_(problem) {}

  bool read() { return read_layers() && read_normalizer() && read_action(); }

 private:
  bool unfit(const std::string& expected) {
    return problem_.is(LoadStatus::unfit, "policy file: expected " + expected + ", got another");
  }

  bool unsupported(const std::string& expected) {
    return problem_.is(LoadStatus::unsupported, "policy file: expected " + expected + ", got others");
  }

  bool read_layers() {
    std::vector<std::int64_t> sizes;
    std::int64_t activation = 0;
    const std::int64_t num_sizes = length("acting.sizes");
    if (num_sizes < 2) return unfit("two or more acting.sizes");
    if (!numbers("acting.sizes", {num_sizes}, sizes)) return false;
    if (!number("acting.activation", static_cast<std::int64_t>(Activation::silu), activation)) return false;
    for (const std::int64_t size : sizes) {
      if (size < 1 || size > kMaxWidth) return unfit("acting.sizes in 1..2^30 - 1");
    }
    form_.activation = static_cast<Activation>(activation);
    const auto first = file_.tensors.find("policy.layers.0.weight");
    are_doubles_ = first != file_.tensors.end() && first->second.dtype == "F64";
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      const std::int64_t num_inputs = sizes[i], num_outputs = sizes[i + 1];
      const std::string name = "policy.layers." + std::to_string(i);
      DenseParts& layer = form_.layers.emplace_back();
      layer.num_inputs = static_cast<int>(num_inputs), layer.num_outputs = static_cast<int>(num_outputs);
      if (!parameters(name + ".weight", {num_outputs, num_inputs}, layer.weight) ||
          !parameters(name + ".bias", {num_outputs}, layer.bias)) {
        return false;
      }
    }
    return true;
  }

  bool read_normalizer() {
    const Shape shape{form_.num_features()};
    std::vector<float> clip;
    if (!numbers("acting.mean_high", shape, form_.mean_high) || !numbers("acting.mean_low", shape, form_.mean_low) ||
        !numbers("acting.inv_std", shape, form_.inv_std) || !numbers("acting.clip", {}, clip)) {
      return false;
    }
    form_.clip = clip[0];
    if (!are_finite(form_.mean_high) || !are_finite(form_.mean_low)) return unfit("a finite mean");
    const auto is_possible = [](float x) { return std::isfinite(x) && x >= 0.0f; };
    return (std::all_of(form_.inv_std.begin(), form_.inv_std.end(), is_possible) && form_.clip > 0.0f) ||
           unfit("acting.inv_std of 0 or more and acting.clip above 0");
  }

  bool read_action() {
    std::int64_t kind = 0;
    if (!number("acting.action_kind", static_cast<std::int64_t>(ActionKind::bits), kind)) return false;
    form_.action_kind = static_cast<ActionKind>(kind);
    form_.action_size = form_.layers.back().num_outputs;  // of bits
    if (form_.action_kind == ActionKind::box && !read_box()) return false;
    if (form_.action_kind == ActionKind::choices && !read_choices()) return false;
    form_.first.resize(static_cast<std::size_t>(form_.action_size));
    return true;
  }

  bool read_box() {
    std::int64_t squash = 0;
    const std::int64_t num_outputs = form_.action_size, size = length("acting.low");
    if (size < 1 || (size != num_outputs && 2 * size != num_outputs)) return unfit("acting.low that fits the outputs");
    if (!numbers("acting.low", {size}, form_.low) || !numbers("acting.high", {size}, form_.high) ||
        !number("acting.squash", 1, squash) ||
        (size == num_outputs && !parameters("policy.log_std", {size}, form_.std))) {
      return false;
    }
    form_.action_size = static_cast<int>(size);
    form_.squash = squash == 1;
    for (std::size_t j = 0; j < form_.low.size(); ++j) {
      const float low = form_.low[j], high = form_.high[j];
      if (std::isnan(low) || std::isnan(high)) return unfit("acting.low and acting.high that are numbers");
      if (low > high) return unsupported("bounds of actions that float32 can tell apart");
      if (std::isinf(low) && (low > 0.0f || form_.squash))
        return unfit("acting.low below infinity, and finite if squashed");
      if (std::isinf(high) && (high < 0.0f || form_.squash))
        return unfit("acting.high above -infinity, and finite if squashed");
    }
    constexpr auto kLow = static_cast<float>(kMinLogStd), kHigh = static_cast<float>(kMaxLogStd);
    for (float& s : form_.std) s = std::exp(clamp(s, kLow, kHigh));
    return true;
  }

  bool read_choices() {
    std::vector<std::int64_t> num_choices, start;
    std::int64_t is_masked = 0, sum = 0;
    const std::int64_t size = length("acting.num_choices");
    if (size < 1) return unfit("a list of acting.num_choices");
    if (!numbers("acting.num_choices", {size}, num_choices) || !numbers("acting.start", {size}, start) ||
        !number("acting.is_masked", 1, is_masked)) {
      return false;
    }
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

  // Numbers in the list `name`; 0 if there is no such list.
  std::int64_t length(const std::string& name) const {
    const auto found = file_.tensors.find(name);
    return found != file_.tensors.end() && found->second.shape.size() == 1 ? found->second.shape[0] : 0;
  }

  // The tensor `name`, of the dtype of T and not empty.
  template <class T>
  bool numbers(const std::string& name, const Shape& shape, std::vector<T>& to) {
    const std::string dtype = std::is_same_v<T, double> ? "F64" : std::is_same_v<T, float> ? "F32" : "I64";
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end() || found->second.dtype != dtype || found->second.shape != shape) {
      return unfit(name + " as " + dtype + " of the shape that it should have");
    }
    const std::int64_t begin = found->second.offsets[0], end = found->second.offsets[1];
    to.resize(static_cast<std::size_t>(end - begin) / sizeof(T));
    std::memcpy(to.data(), file_.data.data() + begin, to.size() * sizeof(T));  // it may not be aligned
    return true;
  }

  // One integer in 0..most.
  bool number(const std::string& name, std::int64_t most, std::int64_t& to) {
    std::vector<std::int64_t> value;
    if (!numbers(name, {}, value)) return false;
    to = value[0];
    return (to >= 0 && to <= most) || unfit(name + " in 0.." + std::to_string(most));
  }

  // Parameters of the policy, finite and all of one dtype; float64 is rounded.
  bool parameters(const std::string& name, const Shape& shape, std::vector<float>& to) {
    if (!are_doubles_) return numbers(name, shape, to) && (are_finite(to) || unfit("finite " + name));
    std::vector<double> values;
    if (!numbers(name, shape, values)) return false;
    if (!are_finite(values)) return unfit("finite " + name);
    for (const double value : values) {
      if (std::abs(value) > static_cast<double>(std::numeric_limits<float>::max())) {
        return unsupported(name + " that float32 can hold");
      }
      to.push_back(static_cast<float>(value));
    }
    return true;
  }

  template <class T>
  static bool are_finite(const std::vector<T>& values) {
    return std::all_of(values.begin(), values.end(), [](T x) { return std::isfinite(x); });
  }

  const PolicyFile& file_;
  ActingForm& form_;
  LoadProblem& problem_;
  bool are_doubles_ = false;  // parameters
};

}  // namespace detail

// The acting form in `file`; false, and why, if there is none that can act.
inline bool read_acting_form(const PolicyFile& file, ActingForm& form, LoadProblem& problem) {
  return detail::FormReader(file, form, problem).read();
}

}  // namespace trpo_fast::runtime
