// The acting form in a policy file, read and checked: everything that acting needs (docs/robotics.md has the table).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "action.hpp"
#include "activation.hpp"
#include "aligned.hpp"
#include "dense.hpp"
#include "load_status.hpp"
#include "policy_file.hpp"

namespace trpo_fast::runtime {

// Parameters where they lie in a file, which may be at any address: float32 or float64, read as float32.
class Parameters {
 public:
  Parameters(const char* first, std::size_t size, bool are_doubles)
      : first_(first), size_(size), are_doubles_(are_doubles) {}

  std::size_t size() const { return size_; }
  float operator[](std::size_t i) const { return static_cast<float>(exact(i)); }

  double exact(std::size_t i) const { return are_doubles_ ? number<double>(i) : static_cast<double>(number<float>(i)); }

 private:
  template <class Number>
  Number number(std::size_t i) const {
    Number x;
    std::memcpy(&x, first_ + i * sizeof(Number), sizeof(Number));
    return x;
  }

  const char* first_;
  std::size_t size_;
  bool are_doubles_;
};

struct DenseParts {
  int num_inputs, num_outputs;
  Parameters weight;  // (num_outputs, num_inputs), row-major
  Parameters bias;    // (num_outputs)
};

// It is valid as long as the file's content is in memory.
struct ActingForm {
  std::vector<DenseParts> layers;
  Activation activation = Activation::identity;  // of hidden layers
  AlignedFloats mean_high, mean_low, inv_std;    // (padded(num_features)), zeros behind
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
constexpr std::int64_t kMaxChoices = std::int64_t{1} << 20;    // of one part of an action
constexpr std::int64_t kMaxExact = std::int64_t{1} << 24;      // up to here, float32 holds every integer
constexpr std::uint64_t kMaxPadding = std::uint64_t{1} << 23;  // bytes of memory beyond as many as the file has

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
    if (!numbers("acting.sizes", {1, {num_sizes}}, sizes)) return false;
    if (!number("acting.activation", static_cast<std::int64_t>(Activation::silu), activation)) return false;
    for (const std::int64_t size : sizes) {
      if (size < 1 || size > kMaxWidth) return unfit("acting.sizes in 1..2^30 - 1");
    }
    form_.activation = static_cast<Activation>(activation);
    const auto first = file_.find("policy.layers.0.weight");
    are_doubles_ = first != nullptr && first->dtype == "F64";
    auto num_floats = static_cast<std::uint64_t>(4 * padded(static_cast<int>(sizes[0])));  // that a policy keeps
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      const auto num_inputs = static_cast<int>(sizes[i]), num_outputs = static_cast<int>(sizes[i + 1]);
      const std::string name = "policy.layers." + std::to_string(i);
      const auto weight = parameters(name + ".weight", {2, {num_outputs, num_inputs}});
      const auto bias = parameters(name + ".bias", {1, {num_outputs}});
      if (!weight || !bias) return false;
      form_.layers.push_back({num_inputs, num_outputs, *weight, *bias});
      num_floats += static_cast<std::uint64_t>(num_parameters(num_inputs, num_outputs) + 8 * padded(num_outputs));
    }
    return num_floats * sizeof(float) <= file_.data.size() + kMaxPadding ||
           unsupported("layers that padding to 16 outputs does not multiply");
  }

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

  // Numbers in the list `name`; 0 if there is no such list.
  std::int64_t length(const char* name) const {
    const Tensor* found = file_.find(name);
    return found != nullptr && found->shape.num_dimensions == 1 ? found->shape.sizes[0] : 0;
  }

  // Where the numbers of a tensor lie; null if there is none of that dtype and shape.
  const char* find(const std::string& name, const char* dtype, const Shape& shape) {
    const Tensor* found = file_.find(name);
    if (found != nullptr && found->dtype == dtype && found->shape == shape) {
      return file_.data.data() + found->offsets[0];
    }
    unfit(name + " as " + dtype + " of the shape that it should have");
    return nullptr;
  }

  // A tensor of up to one dimension, of the dtype of Number.
  template <class Number, class Allocator>
  bool numbers(const char* name, const Shape& shape, std::vector<Number, Allocator>& to) {
    const char* from = find(name, std::is_same_v<Number, float> ? "F32" : "I64", shape);
    if (from == nullptr) return false;
    to.resize(shape.num_dimensions == 0 ? 1 : static_cast<std::size_t>(shape.sizes[0]));
    std::memcpy(to.data(), from, to.size() * sizeof(Number));
    return true;
  }

  // A number for each feature, with zeros behind.
  bool features(const char* name, AlignedFloats& to) {
    const auto room = static_cast<std::size_t>(padded(form_.num_features()));
    to.reserve(room);
    if (!numbers(name, {1, {form_.num_features()}}, to)) return false;
    to.resize(room);
    return true;
  }

  // One integer in 0..most.
  bool number(const char* name, std::int64_t most, std::int64_t& to) {
    std::vector<std::int64_t> value;
    if (!numbers(name, {}, value)) return false;
    to = value[0];
    return (to >= 0 && to <= most) || unfit(name + (" in 0.." + std::to_string(most)));
  }

  // Parameters of the policy, finite and all of one dtype; none if there are no such.
  std::optional<Parameters> parameters(const std::string& name, const Shape& shape) {
    const char* from = find(name, are_doubles_ ? "F64" : "F32", shape);
    if (from == nullptr) return std::nullopt;
    const std::int64_t size = shape.num_dimensions == 1 ? shape.sizes[0] : shape.sizes[0] * shape.sizes[1];
    const Parameters found(from, static_cast<std::size_t>(size), are_doubles_);
    bool fit = true;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!(std::isfinite)(found.exact(i))) {
        unfit("finite " + name);
        return std::nullopt;
      }
      fit = fit && (std::abs)(found.exact(i)) <= static_cast<double>((std::numeric_limits<float>::max)());
    }
    if (fit) return found;
    unsupported(name + " that float32 can hold");
    return std::nullopt;
  }

  template <class Values>
  static bool are_finite(const Values& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return (std::isfinite)(x); });
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
