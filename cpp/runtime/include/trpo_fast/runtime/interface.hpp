// What the numbers of a policy mean, as far as its file says: a controller checks it before it trusts the policy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "load_status.hpp"
#include "policy_file.hpp"
#include "tensor_reader.hpp"

namespace trpo_fast::runtime {

struct Interface {
  std::vector<std::string> observation_names, observation_units;  // (observation_size), in UTF-8; empty if unknown
  std::vector<std::string> action_names, action_units;            // (action_size); empty if unknown
  std::vector<double> action_scale, action_offset;  // (action_size); training applied offset + scale * action
  double control_period = 0.0;                      // seconds; 0 if unknown
  std::string environment;                          // the id of the environment of training
  std::int64_t frame_stack = 1;                     // latest observations that the policy reads, the oldest first
};

namespace detail {

constexpr std::int64_t kMaxText = std::int64_t{1} << 16;  // bytes of the names or units of an observation or action

// The code point at the beginning of `text`, which is shortened by it; -1 if that is not UTF-8.
inline std::int32_t take_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::int32_t>(static_cast<unsigned char>(text[i])); };
  const std::int32_t first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || size > text.size()) return -1;
  std::int32_t point = size == 1 ? first : first & (0x7f >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return -1;
    point = point << 6 | (byte(i) & 0x3f);
  }
  constexpr std::int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // of a code point of so many bytes
  if (point < kLeast[size]) return -1;
  text.remove_prefix(size);
  return point;
}

// Whether `text` is UTF-8 without control and invisible characters, as in Python (spaces/interface.py).
inline bool is_printable(std::string_view text) {
  constexpr std::int32_t kUnprintable[][2] = {
      {0x00, 0x1f},     {0x7f, 0xa0},     {0xad, 0xad},     {0x200b, 0x200f}, {0x2028, 0x202f},
      {0x2060, 0x206f}, {0xd800, 0xf8ff}, {0xfeff, 0xfeff}, {0xfff0, 0xffff}, {0xe0000, 0x7fffffff}};
  while (!text.empty()) {
    const std::int32_t point = take_code_point(text);
    if (point < 0) return false;
    for (const auto& [first, last] : kUnprintable) {
      if (point >= first && point <= last) return false;
    }
  }
  return true;
}

class InterfaceReader : TensorReader {
 public:
  InterfaceReader(const PolicyFile& file, Interface& described, LoadProblem& problem)
      : TensorReader(file, problem), interface_(described) {}

  bool read(std::int64_t observation_size, std::int64_t action_size) {
    return read_names("interface.observation_names", observation_size, interface_.observation_names) &&
           read_lines("interface.observation_units", observation_size, interface_.observation_units) &&
           read_names("interface.action_names", action_size, interface_.action_names) &&
           read_lines("interface.action_units", action_size, interface_.action_units) && read_scale(action_size) &&
           read_training();
  }

 private:
  // Printable text without commas; a line for each of `size` numbers, or nothing.
  bool read_lines(const char* name, std::int64_t size, std::vector<std::string>& lines) {
    std::string_view text;
    if (file_.find(name) == nullptr) return true;
    if (!take_text(name, text)) return false;
    for (bool is_last = false; !is_last;) {
      const std::size_t end = (std::min)(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      if (!is_printable(line) || line.find(',') != std::string_view::npos) return unfit_text(name);
      lines.emplace_back(line);
      is_last = end == text.size();
      text.remove_prefix(is_last ? end : end + 1);
    }
    return static_cast<std::int64_t>(lines.size()) == size || unfit_text(name);
  }

  // Of names, every one once.
  bool read_names(const char* name, std::int64_t size, std::vector<std::string>& names) {
    if (!read_lines(name, size, names)) return false;
    std::vector<std::string_view> sorted(names.begin(), names.end());
    std::sort(sorted.begin(), sorted.end());
    const bool is_set = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    return (is_set && (sorted.empty() || !sorted.front().empty())) || unfit_text(name);
  }

  bool read_scale(std::int64_t size) {
    const char *scale = "interface.action_scale", *offset = "interface.action_offset";
    if (file_.find(scale) == nullptr && file_.find(offset) == nullptr) return true;
    if (!numbers(scale, {1, {size}}, interface_.action_scale) ||
        !numbers(offset, {1, {size}}, interface_.action_offset)) {
      return false;
    }
    const auto fit = [](const std::vector<double>& values) {
      constexpr double kMost = (std::numeric_limits<float>::max)();
      return std::all_of(values.begin(), values.end(), [](double x) { return (std::abs)(x) <= kMost; });
    };
    return (fit(interface_.action_scale) && fit(interface_.action_offset)) ||
           unfit("interface.action_scale and interface.action_offset that float32 can hold");
  }

  bool read_training() {
    const char *period = "interface.control_period", *environment = "interface.environment",
               *frames = "interface.frame_stack";
    if (file_.find(period) != nullptr) {
      std::vector<double> value;
      if (!numbers(period, {}, value)) return false;
      if (!(std::isfinite)(value[0]) || value[0] <= 0.0) return unfit("interface.control_period above 0");
      interface_.control_period = value[0];
    }
    if (file_.find(environment) != nullptr) {
      std::string_view text;
      if (!take_text(environment, text)) return false;
      if (!is_printable(text)) return unfit_text(environment);
      interface_.environment = text;
    }
    if (file_.find(frames) == nullptr) return true;
    std::vector<std::int64_t> value;
    if (!numbers(frames, {}, value)) return false;
    interface_.frame_stack = value[0];
    return value[0] >= 1 || unfit("interface.frame_stack of 1 or more");
  }

  bool take_text(const char* name, std::string_view& text) {
    const std::int64_t size = length(name);
    if (size > kMaxText) return unfit_text(name);
    const char* from = find(name, "U8", {1, {size}});
    if (from != nullptr) text = {from, static_cast<std::size_t>(size)};
    return from != nullptr;
  }

  bool unfit_text(const char* name) {
    return unfit(std::string(name) + ", printable and of up to 65536 bytes: a unique name, or a unit, for each number");
  }

  Interface& interface_;
};

}  // namespace detail

// What `file` says of the numbers of its policy; false, and why, if that cannot be.
inline bool read_interface(const PolicyFile& file, std::int64_t observation_size, std::int64_t action_size,
                           Interface& described, LoadProblem& problem) {
  return detail::InterfaceReader(file, described, problem).read(observation_size, action_size);
}

}  // namespace trpo_fast::runtime
