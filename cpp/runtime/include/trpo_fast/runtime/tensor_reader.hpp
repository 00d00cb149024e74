// Tensors of a policy file, read and checked.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

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

namespace detail {

// What does not fit is a false, and a problem that says what was expected.
class TensorReader {
 public:
  TensorReader(const PolicyFile& file, LoadProblem& problem) : file_(file), problem_(problem) {}

 protected:
  bool unfit(const std::string& expected) {
    return problem_.is(LoadStatus::unfit, "policy file: expected " + expected + ", got another");
  }

  bool unsupported(const std::string& expected) {
    return problem_.is(LoadStatus::unsupported, "policy file: expected " + expected + ", got others");
  }

  // Numbers in the list `name`, or rows of the table; 0 if there is no such tensor.
  std::int64_t length(const char* name, int num_dimensions = 1) const {
    const Tensor* found = file_.find(name);
    return found != nullptr && found->shape.num_dimensions == num_dimensions ? found->shape.sizes[0] : 0;
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

  // A tensor of the dtype of Number.
  template <class Number, class Allocator>
  bool numbers(const char* name, const Shape& shape, std::vector<Number, Allocator>& to) {
    const char* dtype = std::is_same_v<Number, float> ? "F32" : std::is_same_v<Number, double> ? "F64" : "I64";
    const char* from = find(name, dtype, shape);
    if (from == nullptr) return false;
    to.resize(static_cast<std::size_t>(shape.num_items()));
    if (!to.empty()) std::memcpy(to.data(), from, to.size() * sizeof(Number));
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
    if (!are_doubles_) {
      const Tensor* first = file_.find(name);
      are_doubles_ = first != nullptr && first->dtype == "F64";
    }
    const char* from = find(name, *are_doubles_ ? "F64" : "F32", shape);
    if (from == nullptr) return std::nullopt;
    const Parameters found(from, static_cast<std::size_t>(shape.num_items()), *are_doubles_);
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

  const PolicyFile& file_;

 private:
  LoadProblem& problem_;
  std::optional<bool> are_doubles_;  // the parameters, as the first of them says
};

}  // namespace detail

}  // namespace trpo_fast::runtime
