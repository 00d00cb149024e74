// The acting form in a policy file, read and checked: everything that acting needs (docs/robotics.md has the table).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
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
    if (!integers("acting.sizes", sizes) || sizes.size() < 2) return unfit("acting.sizes of two or more");
    for (const std::int64_t size : sizes) {
      if (size < 1 || size > kMaxWidth) return unfit("acting.sizes in 1..2^30 - 1");
    }
    if (!integer("acting.activation", static_cast<std::int64_t>(Activation::silu), activation)) return false;
    form_.activation = static_cast<Activation>(activation);
    are_doubles_ = find("policy.layers.0.weight", "F64") != nullptr;
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
    if (!floats("acting.mean_high", shape, form_.mean_high) || !floats("acting.mean_low", shape, form_.mean_low) ||
        !floats("acting.inv_std", shape, form_.inv_std) || !floats("acting.clip", {}, clip)) {
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
    if (!integer("acting.action_kind", static_cast<std::int64_t>(ActionKind::bits), kind)) return false;
    form_.action_kind = static_cast<ActionKind>(kind);
    form_.action_size = form_.layers.back().num_outputs;  // of bits
    if (form_.action_kind == ActionKind::box && !read_box()) return false;
    if (form_.action_kind == ActionKind::choices && !read_choices()) return false;
    form_.first.resize(static_cast<std::size_t>(form_.action_size));
    return true;
  }

  bool read_box() {
    const Tensor* bounds = find("acting.low", "F32");
    const std::int64_t num_outputs = form_.action_size;
    const std::int64_t size = bounds != nullptr && bounds->shape.size() == 1 ? bounds->shape[0] : 0;
    if (size < 1 || (size != num_outputs && 2 * size != num_outputs)) return unfit("acting.low that fits the outputs");
    std::int64_t squash = 0;
    if (!floats("acting.low", {size}, form_.low) || !floats("acting.high", {size}, form_.high) ||
        !integer("acting.squash", 1, squash) ||
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
    if (!integers("acting.num_choices", num_choices) || !integers("acting.start", start) ||
        !integer("acting.is_masked", 1, is_masked)) {
      return false;
    }
    if (start.size() != num_choices.size()) return unfit("as many of acting.start as of acting.num_choices");
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
    form_.action_size = static_cast<int>(num_choices.size());
    form_.mask_size = is_masked == 1 ? num_outputs : 0;
    return true;
  }

  // The tensor `name`; null if no tensor of this dtype has it.
  const Tensor* find(const std::string& name, const std::string& dtype) const {
    const auto found = file_.tensors.find(name);
    return found != file_.tensors.end() && found->second.dtype == dtype ? &found->second : nullptr;
  }

  template <class T>
  void copy(const Tensor& tensor, std::vector<T>& to) const {
    const auto begin = static_cast<std::size_t>(tensor.offsets[0]), end = static_cast<std::size_t>(tensor.offsets[1]);
    to.resize((end - begin) / sizeof(T));
    if (end > begin) std::memcpy(to.data(), file_.data.data() + begin, end - begin);  // it may not be aligned
  }

  // A list of at least one number.
  bool integers(const std::string& name, std::vector<std::int64_t>& to) {
    const Tensor* tensor = find(name, "I64");
    if (tensor == nullptr || tensor->shape.size() != 1 || tensor->shape[0] == 0)
      return unfit(name + " as a list of I64");
    copy(*tensor, to);
    return true;
  }

  // A number in 0..most.
  bool integer(const std::string& name, std::int64_t most, std::int64_t& to) {
    const Tensor* tensor = find(name, "I64");
    std::vector<std::int64_t> value;
    if (tensor != nullptr && tensor->shape.empty()) copy(*tensor, value);
    if (value.size() != 1 || value[0] < 0 || value[0] > most) {
      return unfit(name + " as one I64 in 0.." + std::to_string(most));
    }
    to = value[0];
    return true;
  }

  bool floats(const std::string& name, const Shape& shape, std::vector<float>& to) {
    const Tensor* tensor = find(name, "F32");
    if (tensor == nullptr || tensor->shape != shape) return unfit(name + " as F32 of the shape that it should have");
    copy(*tensor, to);
    return true;
  }

  // Parameters of the policy, finite and all of one dtype; float64 is rounded.
  bool parameters(const std::string& name, const Shape& shape, std::vector<float>& to) {
    if (!are_doubles_) return floats(name, shape, to) && (are_finite(to) || unfit("finite " + name));
    const Tensor* tensor = find(name, "F64");
    if (tensor == nullptr || tensor->shape != shape) return unfit(name + " as F64 of the shape that it should have");
    std::vector<double> values;
    copy(*tensor, values);
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
