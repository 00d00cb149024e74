// What a policy file says a policy is made of, checked: as much as, and no more than, acting needs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "action.hpp"
#include "activation.hpp"
#include "json.hpp"
#include "load_status.hpp"
#include "policy_file.hpp"
#include "spaces.hpp"

namespace trpo_fast::runtime {

struct DenseParts {
  int num_inputs, num_outputs;
  std::vector<float> weight;  // (num_outputs, num_inputs), row-major
  std::vector<float> bias;
};

struct PolicyParts {
  int num_features = 0;           // of an observation, without a mask
  int mask_size = 0;              // 0 without masks
  bool is_normalized = true;      // observations are
  std::vector<double> mean, var;  // (num_features + mask_size)
  std::vector<DenseParts> layers;
  Activation activation = Activation::tanh;  // of hidden layers
  ActionKind action_kind = ActionKind::box;
  int action_size = 0;
  std::vector<float> low, high;  // of a box, the nearest floats inside
  bool squash = false;
  std::vector<float> std;                 // of a box; empty if the network puts out its logarithm
  std::vector<std::int32_t> num_choices;  // of choices
  std::vector<std::int64_t> start;        // of choices
};

namespace detail {

constexpr std::int64_t kMaxWidth = std::int64_t{1} << 30;
constexpr std::int64_t kMaxExact = std::int64_t{1} << 24;  // up to here, float32 holds every integer

class PartsReader {
 public:
  PartsReader(const PolicyFile& file, PolicyParts& parts, LoadProblem& problem)
      : file_(file), parts_(parts), problem_(problem) {}

  bool read() {
    const auto metadata = json::parse(file_.metadata, false);
    if (!metadata) return unfit("metadata that are not JSON");
    const auto format = metadata->find("format"), version = metadata->find("version");
    if (!format || format->string() != "trpo_fast.policy" || !version || version->integer() != 3) {
      return problem_.is(LoadStatus::unsupported, "expected trpo_fast.policy version 3, got another format or version");
    }
    const auto arguments = metadata->find("arguments");
    if (!arguments || !arguments->is_object()) return unfit("no arguments");
    return read_flags(*arguments) && read_spaces(*metadata) && read_options(*arguments) && read_tensors();
  }

 private:
  bool unfit(const std::string& got) {
    return problem_.is(LoadStatus::unfit, "policy file: expected a policy, got " + got);
  }

  bool read_flags(const json::Value& arguments) {
    const auto normalize = arguments.find("normalize_observations"), masks = arguments.find("use_masking");
    if (!normalize || !normalize->boolean() || !masks || !masks->boolean()) return unfit("no flags");
    parts_.is_normalized = *normalize->boolean();
    use_masking_ = *masks->boolean();
    const auto dtype = arguments.find("dtype");
    const std::string name = dtype ? dtype->string().value_or("") : "";
    is_double_ = name == "float64";
    return is_double_ || name == "float32" || unfit("another dtype");
  }

  bool read_spaces(const json::Value& metadata) {
    const auto observation = metadata.find("observation_space"), action = metadata.find("action_space");
    if (!observation || !action) return unfit("no spaces");
    const auto observed = leaves_of(*observation), acted = leaves_of(*action);
    if (!observed || !acted) return unfit("a space that is none");
    std::int64_t size = 0;
    for (const SpaceLeaf& leaf : *observed) {
      const bool is_box = leaf.type == "Box";
      if (is_box && leaf.shape.size() == 3 && leaf.dtype == "uint8") return unfit("images");
      std::int64_t columns = is_box ? static_cast<std::int64_t>(leaf.low.size()) : 0;
      if (leaf.type == "MultiBinary") {
        columns = 1;
        for (const std::int64_t n : leaf.choices) columns = std::min(columns * n, kMaxWidth);
      } else if (!is_box) {
        for (const std::int64_t n : leaf.choices) columns += n;
      }
      size += columns;
      if (size >= kMaxWidth) return unfit("too many features");
      ends_.push_back({size, !is_box});
    }
    const auto is_box = [](const json::Value& space) { return space.find("type")->string() == "Box"; };
    const bool is_scalar = is_box(*observation) && observed->front().shape.empty();
    if (size == 0 || is_scalar) return unfit("observations without numbers");
    parts_.num_features = static_cast<int>(size);
    const auto kind = action->find("type")->string();
    return kind != "Dict" && kind != "Tuple" ? read_action(acted->front()) : unfit("several actions");
  }

  bool read_action(const SpaceLeaf& leaf) {
    parts_.num_choices.assign(leaf.choices.begin(), leaf.choices.end());
    parts_.start = leaf.start;
    std::int64_t total = 0;
    for (const std::int64_t n : leaf.choices) total += n;
    if (total >= kMaxWidth) return unfit("too many choices");
    for (std::size_t i = 0; i < leaf.start.size(); ++i) {
      const std::int64_t first = leaf.start[i];
      if (first < -kMaxExact || first > kMaxExact || first + leaf.choices[i] > kMaxExact) {
        return problem_.is(LoadStatus::unsupported, "expected choices that float32 can count, got others");
      }
    }
    if (leaf.type == "Box") {
      if (!is_float(leaf.dtype) || leaf.shape.empty() || leaf.low.empty())
        return unfit("a box of no floating point actions");
      parts_.action_kind = ActionKind::box;
      for (std::size_t i = 0; i < leaf.low.size(); ++i) {
        parts_.low.push_back(inside(leaf.low[i], std::numeric_limits<float>::infinity()));
        parts_.high.push_back(inside(leaf.high[i], -std::numeric_limits<float>::infinity()));
        if (parts_.low.back() > parts_.high.back()) {
          return problem_.is(LoadStatus::unsupported, "expected bounds that float32 can tell apart, got others");
        }
      }
      parts_.action_size = static_cast<int>(leaf.low.size());
      outputs_ = parts_.action_size;
    } else if (leaf.type == "MultiBinary") {
      if (leaf.shape.size() > 1 || leaf.choices.size() != 1) return unfit("bits that are not in a row");
      parts_.action_kind = ActionKind::bits;
      parts_.action_size = static_cast<int>(leaf.choices.front());
      parts_.num_choices.clear();
      outputs_ = parts_.action_size;
    } else {
      if (leaf.shape.size() > 1) return unfit("choices that are not in a row");
      parts_.action_kind = ActionKind::choices;
      parts_.action_size = static_cast<int>(leaf.choices.size());
      outputs_ = static_cast<int>(total);
    }
    if (use_masking_ && parts_.action_kind != ActionKind::choices) return unfit("masks of what are no choices");
    parts_.mask_size = use_masking_ ? outputs_ : 0;
    return true;
  }

  // policy_kwargs; what is not there is as python/trpo_fast/policy.py has it
  bool read_options(const json::Value& arguments) {
    const auto kwargs = arguments.find("policy_kwargs");
    if (!kwargs || !kwargs->is_object()) return unfit("no policy_kwargs");
    widths_ = {64, 64};
    bool fit = true;
    const auto flag = [&](json::Value value) {
      fit &= value.boolean().has_value();
      return value.boolean().value_or(false);
    };
    kwargs->for_each_member([&](const std::string& name, json::Value value) {
      if (name == "net_arch") {
        fit &= read_widths(value);
      } else if (name == "activation_fn") {
        fit &= read_activation(value.string().value_or(""));
      } else if (name == "state_dependent_std") {
        has_std_output_ = flag(value);
      } else if (name == "squash") {
        parts_.squash = flag(value);
      } else if (name == "ortho_init") {
        flag(value);
      } else if (name == "log_std_init") {
        const double init = value.number() ? real_from(std::string(*value.number())) : kMaxLogStd + 1.0;
        fit &= init >= kMinLogStd && init <= kMaxLogStd;
      } else {
        fit = false;
      }
    });
    if (!fit) return unfit("other policy_kwargs");
    const bool is_box = parts_.action_kind == ActionKind::box;
    if (has_std_output_ && !is_box) return unfit("a standard deviation of what is no box");
    if (has_std_output_) outputs_ *= 2;
    const auto is_bounded = [](float bound) { return std::isfinite(bound); };
    return !parts_.squash ||
           (is_box && std::all_of(parts_.low.begin(), parts_.low.end(), is_bounded) &&
            std::all_of(parts_.high.begin(), parts_.high.end(), is_bounded)) ||
           unfit("squashed actions without bounds");
  }

  bool read_widths(json::Value value) {
    if (value.is_object()) {
      int num_keys = 0;
      value.for_each_member([&](const std::string&, json::Value) { ++num_keys; });
      const auto pi = value.find("pi");
      if (num_keys != 2 || !value.find("vf") || !pi || pi->is_object()) return false;
      value = *pi;
    }
    widths_.clear();
    bool fit = value.is_array();
    value.for_each_item([&](json::Value item) {
      const std::int64_t width = item.integer().value_or(0);
      fit &= width >= 1 && width < kMaxWidth;
      widths_.push_back(static_cast<int>(fit ? width : 1));
    });
    return fit;
  }

  bool read_activation(const std::string& name) {
    static constexpr const char* kNames[] = {"identity", "tanh", "relu", "elu", "silu"};  // as Activation has them
    const auto found = std::find(std::begin(kNames), std::end(kNames), name);
    parts_.activation = static_cast<Activation>(found - std::begin(kNames));
    return found != std::end(kNames);
  }

  bool read_tensors() {
    const char* dtype = is_double_ ? "F64" : "F32";
    std::vector<int> sizes{parts_.num_features};
    sizes.insert(sizes.end(), widths_.begin(), widths_.end());
    sizes.push_back(outputs_);
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      DenseParts layer{sizes[i], sizes[i + 1], {}, {}};
      const std::string name = "policy.layers." + std::to_string(i);
      if (!floats(name + ".weight", dtype, {layer.num_outputs, layer.num_inputs}, layer.weight) ||
          !floats(name + ".bias", dtype, {layer.num_outputs}, layer.bias)) {
        return false;
      }
      parts_.layers.push_back(std::move(layer));
    }
    if (parts_.action_kind == ActionKind::box && !has_std_output_) {
      if (!floats("policy.log_std", dtype, {parts_.action_size}, parts_.std)) return false;
      for (float& s : parts_.std)
        s = std::exp(clamp(s, static_cast<float>(kMinLogStd), static_cast<float>(kMaxLogStd)));
    }
    const int size = parts_.num_features + parts_.mask_size;
    std::vector<double> count;
    if (!doubles("normalizer.mean", "F64", {size}, parts_.mean) ||
        !doubles("normalizer.var", "F64", {size}, parts_.var) || !doubles("normalizer.count", "F64", {1}, count)) {
      return false;
    }
    std::vector<bool> is_choice;  // of statistics that are there, and as many
    for (const Columns& columns : ends_) is_choice.resize(static_cast<std::size_t>(columns.end), columns.are_choices);
    is_choice.resize(static_cast<std::size_t>(size), true);
    bool fit = count[0] >= 0.0;
    for (std::size_t j = 0; j < is_choice.size(); ++j) {
      fit &= parts_.var[j] >= 0.0 && (!is_choice[j] || (parts_.mean[j] == 0.0 && parts_.var[j] == 1.0));
    }
    return fit || unfit("statistics that nothing can have");
  }

  bool doubles(const std::string& name, const char* dtype, std::vector<std::int64_t> shape, std::vector<double>& to) {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end() || found->second.dtype != dtype || found->second.shape != shape) {
      return unfit("no tensor " + name + " of the shape and dtype that it should have");
    }
    const Tensor& tensor = found->second;
    const std::size_t item = item_size(tensor.dtype);
    to.resize(tensor.num_bytes / item);
    bool finite = true;
    for (std::size_t i = 0; i < to.size(); ++i) {
      if (item == sizeof(float)) {
        float value;
        std::memcpy(&value, tensor.data + i * item, sizeof value);
        to[i] = static_cast<double>(value);
      } else {
        std::memcpy(&to[i], tensor.data + i * item, sizeof to[i]);
      }
      finite &= std::isfinite(to[i]);
    }
    return finite || unfit("NaN or Inf in " + name);
  }

  bool floats(const std::string& name, const char* dtype, std::vector<std::int64_t> shape, std::vector<float>& to) {
    std::vector<double> values;
    if (!doubles(name, dtype, std::move(shape), values)) return false;
    constexpr double kMost = std::numeric_limits<float>::max();
    to.reserve(values.size());
    for (const double value : values) {
      if (std::abs(value) > kMost)
        return problem_.is(LoadStatus::unsupported, name + ": expected what float32 can hold, got more");
      to.push_back(static_cast<float>(value));
    }
    return true;
  }

  // The float next to `bound` that is not beyond it, on the way to `inwards`.
  static float inside(double bound, float inwards) {
    if (std::isinf(bound)) return static_cast<float>(bound);
    const float nearest = to_finite_float(bound);
    const bool is_beyond = inwards > 0.0f ? static_cast<double>(nearest) < bound : static_cast<double>(nearest) > bound;
    return is_beyond ? std::nextafter(nearest, inwards) : nearest;
  }

  const PolicyFile& file_;
  PolicyParts& parts_;
  LoadProblem& problem_;
  bool use_masking_ = false;
  bool is_double_ = false;
  bool has_std_output_ = false;
  int outputs_ = 0;
  std::vector<int> widths_;
  struct Columns {
    std::int64_t end;
    bool are_choices;
  };
  std::vector<Columns> ends_;  // of the parts of an observation
};

}  // namespace detail

// The parts of the policy that `file` holds; false, and why, if it holds none.
inline bool read_policy_parts(const PolicyFile& file, PolicyParts& parts, LoadProblem& problem) {
  return detail::PartsReader(file, parts, problem).read();
}

}  // namespace trpo_fast::runtime
