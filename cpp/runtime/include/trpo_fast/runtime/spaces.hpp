// Spaces as the metadata describe them (python/trpo_fast/spaces.py): how many numbers an observation is, and which of
// them are parts of choices; of an action, what it may be.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "action.hpp"
#include "json.hpp"
#include "shape.hpp"

namespace trpo_fast::runtime {

// What one Box, Discrete, MultiDiscrete or MultiBinary says.
struct SpaceLeaf {
  std::string type;
  std::string dtype;
  std::vector<std::int64_t> shape;    // of a Box, of what MultiDiscrete and MultiBinary count
  std::vector<double> low, high;      // of a Box, flat
  std::vector<std::int64_t> choices;  // of a Discrete or MultiDiscrete, flat
  std::vector<std::int64_t> start;    // the first of them
};

namespace detail {

constexpr std::int64_t kMaxChoices = std::int64_t{1} << 20;  // of one part of a space in a file
constexpr std::size_t kMaxBound = 40;                        // digits and signs of one

struct IntegerRange {
  std::int64_t low;
  std::uint64_t high;
};

inline std::optional<IntegerRange> range_of(const std::string& dtype) {
  if (dtype == "bool") return IntegerRange{0, 1};
  const bool is_unsigned = dtype.substr(0, 4) == "uint";
  const std::string bits = dtype.substr(is_unsigned ? 4 : dtype.substr(0, 3) == "int" ? 3 : dtype.size());
  for (const int n : {8, 16, 32, 64}) {
    if (bits != std::to_string(n)) continue;
    const std::uint64_t half = std::uint64_t{1} << (n - 1);
    if (is_unsigned) return IntegerRange{0, half - 1 + half};
    return IntegerRange{-static_cast<std::int64_t>(half - 1) - 1, half - 1};
  }
  return std::nullopt;
}

inline bool is_float(const std::string& dtype) {
  return dtype == "float16" || dtype == "float32" || dtype == "float64";
}

inline bool is_in(std::int64_t n, const std::string& dtype) {
  const auto range = range_of(dtype);
  return range && n >= range->low && (n < 0 || static_cast<std::uint64_t>(n) <= range->high);
}

// A number as JSON writes one, in any locale; infinite where a double cannot hold it.
inline double real_from(const std::string& text) {
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double value = 0.0;
  stream >> value;
  const bool is_beyond = stream.fail() && std::abs(value) > 1.0;
  return is_beyond ? std::copysign(std::numeric_limits<double>::infinity(), value) : value;
}

// The nearest finite float.
inline float to_finite_float(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kMost, kMost));
}

// A bound: the nearest double, and of integers, which a double may not tell apart, all digits.
struct Bound {
  double value = 0.0;
  bool is_negative = false;
  std::uint64_t magnitude = 0;

  bool is_above(const Bound& other) const {
    if (value != other.value) return value > other.value;
    if (is_negative != other.is_negative) return other.is_negative && magnitude + other.magnitude > 0;
    return is_negative ? magnitude < other.magnitude : magnitude > other.magnitude;
  }
};

// Whether a double is a float16: 11 bits, down to 2^-24.
inline bool is_half(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(std::abs(value), &exponent);  // in [0.5, 1)
  const double scaled = std::ldexp(mantissa, std::min(11, exponent + 24));
  return std::abs(value) <= 65504.0 && scaled == std::floor(scaled);
}

inline std::optional<Bound> integer_bound(const std::string& text, const std::string& dtype) {
  Bound bound;
  bound.is_negative = text.front() == '-';
  const auto magnitude = json::detail::whole_number(std::string_view(text).substr(bound.is_negative ? 1 : 0));
  if (!magnitude) return std::nullopt;
  bound.magnitude = *magnitude;
  const auto range = range_of(dtype);
  const std::uint64_t least = range->low == 0 ? 0 : static_cast<std::uint64_t>(-(range->low + 1)) + 1;  // of -low
  if (bound.magnitude > (bound.is_negative ? least : range->high)) return std::nullopt;
  bound.value = bound.is_negative ? -static_cast<double>(bound.magnitude) : static_cast<double>(bound.magnitude);
  return bound;
}

// A bound as Python writes one: a number of the dtype as JSON has it, or "inf".
inline std::optional<Bound> bound_from(const std::string& text, const std::string& dtype) {
  if (text.empty() || text.size() > kMaxBound) return std::nullopt;
  const bool is_number = text == "-0" || json::detail::number_end(text, 0) == text.size();
  if (!is_float(dtype)) return is_number ? integer_bound(text, dtype) : std::nullopt;
  Bound bound;
  if (text == "inf" || text == "-inf") {
    bound.value = std::copysign(std::numeric_limits<double>::infinity(), text.front() == '-' ? -1.0 : 1.0);
    return bound;
  }
  if (!is_number || text.find('E') != std::string::npos) return std::nullopt;
  bound.value = real_from(text);
  const bool is_held =
      dtype == "float64" ||
      (dtype == "float32" ? static_cast<double>(to_finite_float(bound.value)) == bound.value : is_half(bound.value));
  return is_held && std::isfinite(bound.value) ? std::optional(bound) : std::nullopt;
}

// A list of integers, or of such lists and so on, flat; and its shape.
inline bool integers(const json::Value& value, std::vector<std::int64_t>& flat, std::vector<std::int64_t>& shape,
                     std::size_t level = 0) {
  if (!value.is_array()) {
    const auto n = value.integer();
    if (n) flat.push_back(*n);
    return n && level == shape.size();
  }
  const bool is_first = level == shape.size() && flat.empty();
  if (level >= kMaxDimensions || (!is_first && level >= shape.size())) return false;
  if (is_first) shape.push_back(0);
  std::int64_t count = 0;
  bool fit = true;
  value.for_each_item([&](json::Value item) {
    if (!fit) return;
    // the first item of the first list tells how deep lists are nested
    fit = integers(item, flat, shape, level + 1);
    ++count;
  });
  if (is_first) shape[level] = count;
  return fit && count > 0 && shape[level] == count;
}

inline bool are_choices(const std::vector<std::int64_t>& counts) {
  for (const std::int64_t n : counts) {
    if (n < 1 || n > kMaxChoices) return false;
  }
  return !counts.empty() && static_cast<std::int64_t>(counts.size()) <= kMaxChoices;
}

inline bool box_from(const json::Value& value, SpaceLeaf& leaf) {
  const auto shape = value.find("shape");
  if (!shape || !shape->is_array() || (!is_float(leaf.dtype) && !range_of(leaf.dtype))) return false;
  bool fit = true;
  shape->for_each_item([&](json::Value item) {
    leaf.shape.push_back(item.integer().value_or(-1));
    fit &= leaf.shape.back() >= 0;
  });
  const auto size = fit ? product(leaf.shape) : std::nullopt;
  if (!size) return false;
  std::vector<Bound> bounds[2];
  for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
    const auto list = value.find(which == 0 ? "low" : "high");
    if (!list || !list->is_array()) return false;
    list->for_each_item([&](json::Value item) {
      const auto bound = bound_from(item.string().value_or(""), leaf.dtype);
      fit &= bound.has_value();
      bounds[which].push_back(bound.value_or(Bound{}));
    });
    fit &= bounds[which].size() == *size;
  }
  for (std::size_t i = 0; fit && i < bounds[0].size(); ++i) {
    const Bound &low = bounds[0][i], &high = bounds[1][i];
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    fit = !low.is_above(high) && low.value < kInfinity && high.value > -kInfinity;
    leaf.low.push_back(low.value);
    leaf.high.push_back(high.value);
  }
  return fit;
}

// Of a Discrete, MultiDiscrete or MultiBinary.
inline bool counts_from(const json::Value& value, SpaceLeaf& leaf) {
  const bool is_single = leaf.type == "Discrete", are_many = leaf.type == "MultiDiscrete";
  const auto counts = value.find(are_many ? "nvec" : "n");
  if (!counts || (is_single && counts->is_array()) || (are_many && !counts->is_array())) return false;
  if (!integers(*counts, leaf.choices, leaf.shape) || !are_choices(leaf.choices)) return false;
  if (!is_single && !are_many) return leaf.shape.size() <= 1;
  std::vector<std::int64_t> start_shape;
  const auto start = value.find("start");
  bool fit = start && integers(*start, leaf.start, start_shape) && start_shape == leaf.shape && range_of(leaf.dtype) &&
             leaf.dtype != "bool";
  for (std::size_t i = 0; fit && i < leaf.choices.size(); ++i) {
    fit = is_in(leaf.start[i], leaf.dtype) && is_in(leaf.choices[i], leaf.dtype);
  }
  return fit;
}

// The spaces in a Dict, [[key, space], ...], or in a Tuple, [space, ...]; nothing if they are others.
inline std::optional<std::vector<json::Value>> parts_of(const json::Value& value, bool have_keys) {
  const auto list = value.find("spaces");
  if (!list || !list->is_array()) return std::nullopt;
  std::vector<json::Value> parts;
  std::set<std::string> keys;
  bool fit = true;
  list->for_each_item([&](json::Value item) {
    std::vector<json::Value> pair;
    if (have_keys) {
      item.for_each_item([&](json::Value of_pair) { pair.push_back(of_pair); });
      fit &= pair.size() == 2 && pair[0].is_string() && keys.insert(*pair[0].string()).second;
    }
    if (fit) parts.push_back(have_keys ? pair[1] : item);
  });
  return fit ? std::optional(parts) : std::nullopt;
}

}  // namespace detail

// The leaves of a space, in the order of an observation's columns; nothing if `value` describes none.
inline std::optional<std::vector<SpaceLeaf>> leaves_of(const json::Value& value) {
  const auto text = [&](const char* key) {
    const auto member = value.find(key);
    return member ? member->string().value_or("") : "";
  };
  SpaceLeaf leaf;
  leaf.type = text("type");
  leaf.dtype = text("dtype");
  if (leaf.type == "Dict" || leaf.type == "Tuple") {
    const auto parts = detail::parts_of(value, leaf.type == "Dict");
    if (!parts) return std::nullopt;
    std::vector<SpaceLeaf> leaves;
    for (const json::Value& part : *parts) {
      const auto more = leaves_of(part);
      if (!more) return std::nullopt;
      leaves.insert(leaves.end(), more->begin(), more->end());
    }
    return leaves;
  }
  const bool counts = leaf.type == "Discrete" || leaf.type == "MultiDiscrete" || leaf.type == "MultiBinary";
  const bool fit = leaf.type == "Box" ? detail::box_from(value, leaf) : counts && detail::counts_from(value, leaf);
  return fit ? std::optional(std::vector{leaf}) : std::nullopt;
}

}  // namespace trpo_fast::runtime
