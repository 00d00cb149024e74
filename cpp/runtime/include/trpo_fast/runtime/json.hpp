// JSON, bounded: a text is checked once, without recursion; values are then places in it.
//
// Stricter than the standard allows, as Python's side of the policy file is: a key stands once in an object, arrays and
// objects are nested up to kMaxDepth deep, -0 is no integer, the text is UTF-8.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trpo_fast::runtime::json {

constexpr std::size_t kMaxDepth = 128;
constexpr std::size_t kMaxDigits = 4300;  // of an integer: Python reads no longer ones

namespace detail {

inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

inline int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The number that digits write; nothing if they are none, or 64 bits cannot hold it.
inline std::optional<std::uint64_t> whole_number(std::string_view digits) {
  std::uint64_t number = 0;
  for (const char c : digits) {
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (!is_digit(c) || number > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return std::nullopt;
    number = 10 * number + digit;
  }
  return digits.empty() ? std::nullopt : std::optional(number);
}

// The end of a number that begins at `at`; `at` if none does.
inline std::size_t number_end(std::string_view text, std::size_t at) {
  const auto digits = [&](std::size_t from) {
    while (from < text.size() && is_digit(text[from])) ++from;
    return from;
  };
  std::size_t end = at + (at < text.size() && text[at] == '-' ? 1 : 0);
  const std::size_t first = end;
  end = digits(first);
  if (end == first || (text[first] == '0' && end > first + 1)) return at;
  bool is_integer = true;
  if (end < text.size() && text[end] == '.') {
    const std::size_t fraction = end + 1;
    end = digits(fraction), is_integer = false;
    if (end == fraction) return at;
  }
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    std::size_t exponent = end + 1;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    end = digits(exponent), is_integer = false;
    if (end == exponent) return at;
  }
  const bool is_negative_zero = is_integer && first > at && text[first] == '0';
  return is_negative_zero || (is_integer && end - first > kMaxDigits) ? at : end;
}

// The bytes of the UTF-8 sequence at `at`; 0 if there is none that is well-formed (Unicode, table 3-7).
inline std::size_t utf8_size(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                           : lead >= 0xe0 && lead <= 0xef ? 3
                           : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                          : 0;
  const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (std::size_t i = 1; i < size; ++i) {
    if (byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xbf)) return 0;
  }
  return size;
}

// The end of a string that begins with the quotation mark at `at`; `at` if none does.
inline std::size_t string_end(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size();) {
    const char c = text[i];
    if (c == '"') return i + 1;
    if (static_cast<unsigned char>(c) < 0x20) return at;
    if (c != '\\') {
      const std::size_t size = utf8_size(text, i);
      if (size == 0) return at;
      i += size;
      continue;
    }
    const char escape = i + 1 < text.size() ? text[i + 1] : '\0';
    if (escape == 'u') {
      for (std::size_t k = i + 2; k < i + 6; ++k) {
        if (k >= text.size() || hex_value(text[k]) < 0) return at;
      }
      i += 6;
    } else if (escape != '\0' && std::string_view("\"\\/bfnrt").find(escape) != std::string_view::npos) {
      i += 2;
    } else {
      return at;
    }
  }
  return at;
}

inline void append_utf8(std::uint32_t point, std::string& out) {
  const auto byte = [&](std::uint32_t bits) { out += static_cast<char>(static_cast<unsigned char>(bits)); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) return byte(0xc0 | point >> 6), byte(0x80 | (point & 0x3f));
  if (point < 0x10000) {
    return byte(0xe0 | point >> 12), byte(0x80 | (point >> 6 & 0x3f)), byte(0x80 | (point & 0x3f));
  }
  byte(0xf0 | point >> 18), byte(0x80 | (point >> 12 & 0x3f)), byte(0x80 | (point >> 6 & 0x3f));
  byte(0x80 | (point & 0x3f));
}

// What a well-formed string, with its quotation marks, stands for. `lone_surrogate` is set if half of a pair stands
// alone, which is then kept as the three bytes that it would be.
inline std::string unescaped(std::string_view quoted, bool& lone_surrogate) {
  std::string out;
  const auto unit = [&](std::size_t at) {  // of \uXXXX, behind the u
    std::uint32_t value = 0;
    for (std::size_t k = at; k < at + 4; ++k) value = value << 4 | static_cast<std::uint32_t>(hex_value(quoted[k]));
    return value;
  };
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] != '\\') {
      out += quoted[i];
      continue;
    }
    const char escape = quoted[++i];
    if (escape != 'u') {
      static constexpr std::string_view kEscapes = "bfnrt", kMeanings = "\b\f\n\r\t";
      const std::size_t which = kEscapes.find(escape);
      out += which == std::string_view::npos ? escape : kMeanings[which];
      continue;
    }
    std::uint32_t point = unit(i + 1);
    i += 4;
    if (point >= 0xd800 && point < 0xe000) {
      const bool has_next = quoted.size() - i > 7 && quoted[i + 1] == '\\' && quoted[i + 2] == 'u';
      const std::uint32_t next = has_next ? unit(i + 3) : 0;
      if (point < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
        i += 6;
      } else {
        lone_surrogate = true;
      }
    }
    append_utf8(point, out);
  }
  return out;
}

// The end of the value that begins at `at`, in a text that has been checked.
inline std::size_t value_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (std::size_t i = at; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      i = string_end(text, i);
    } else if (c == '[' || c == '{') {
      ++depth, ++i;
      continue;
    } else if (c == ']' || c == '}') {
      if (depth == 0) return i;
      --depth, ++i;
    } else if (c == ',' || c == ':' || is_space(c)) {
      if (depth == 0) return i;
      ++i;
      continue;
    } else {
      while (i < text.size() && !is_space(text[i]) &&
             std::string_view(",:]}").find(text[i]) == std::string_view::npos) {
        ++i;
      }
    }
    if (depth == 0) return i;
  }
  return text.size();
}

inline std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

}  // namespace detail

// A value in a text that has been checked.
class Value {
 public:
  explicit Value(std::string_view text) : text_(text) {}

  bool is_object() const { return text_.front() == '{'; }
  bool is_array() const { return text_.front() == '['; }
  bool is_string() const { return text_.front() == '"'; }

  std::optional<bool> boolean() const {
    if (text_ == "true") return true;
    if (text_ == "false") return false;
    return std::nullopt;
  }

  // Of a number written without fraction and exponent, if 64 bits hold it.
  std::optional<std::int64_t> integer() const {
    const bool is_negative = text_.front() == '-';
    const auto magnitude = detail::whole_number(text_.substr(is_negative ? 1 : 0));
    constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;
    if (!magnitude || *magnitude > (is_negative ? kLimit : kLimit - 1)) return std::nullopt;
    return is_negative ? static_cast<std::int64_t>(~*magnitude + 1) : static_cast<std::int64_t>(*magnitude);
  }

  // The text of a number, for those that need another reading of it.
  std::optional<std::string_view> number() const {
    if (text_.front() != '-' && !detail::is_digit(text_.front())) return std::nullopt;
    return text_;
  }

  std::optional<std::string> string() const {
    if (!is_string()) return std::nullopt;
    bool lone_surrogate = false;
    return detail::unescaped(text_, lone_surrogate);
  }

  // The member of an object; nothing if there is none, or this is no object.
  std::optional<Value> find(std::string_view key) const {
    std::optional<Value> found;
    for_each_member([&](const std::string& name, Value value) {
      if (name == key) found = value;
    });
    return found;
  }

  // f(key, value) for each member, if this is an object
  template <class Function>
  void for_each_member(Function&& f) const {
    if (!is_object()) return;
    for (std::size_t at = detail::skip_spaces(text_, 1); text_[at] != '}';) {
      const std::size_t key_end = detail::string_end(text_, at);
      const std::string key = *Value(text_.substr(at, key_end - at)).string();
      at = detail::skip_spaces(text_, detail::skip_spaces(text_, key_end) + 1);  // the colon
      at = after_value(at, [&](Value value) { f(key, value); });
    }
  }

  // f(value) for each item, if this is an array
  template <class Function>
  void for_each_item(Function&& f) const {
    if (!is_array()) return;
    for (std::size_t at = detail::skip_spaces(text_, 1); text_[at] != ']';) at = after_value(at, f);
  }

 private:
  // f(the value at `at`); where the next one, or the closing bracket, begins
  template <class Function>
  std::size_t after_value(std::size_t at, Function&& f) const {
    const std::size_t end = detail::value_end(text_, at);
    f(Value(text_.substr(at, end - at)));
    const std::size_t next = detail::skip_spaces(text_, end);
    return text_[next] == ',' ? detail::skip_spaces(text_, next + 1) : next;
  }

  std::string_view text_;
};

// Checks a text.
class Checker {
 public:
  Checker(std::string_view text, bool surrogates_pair) : text_(text), surrogates_pair_(surrogates_pair) {}

  // Whether the text is one value.
  bool check() {
    skip();
    bool expects_value = true;
    do {
      if (expects_value) {
        const char c = peek();
        if (c == '{' || c == '[') {
          if (open_.size() == kMaxDepth) return false;
          open_.push_back({c == '{' ? '}' : ']', keys_.size()});
          ++at_, skip();
          if (peek() == open_.back().closing) {
            expects_value = false;
          } else if (c == '{' && !key()) {
            return false;
          }
          continue;
        }
        if (!scalar()) return false;
        skip();
        expects_value = false;
        continue;
      }
      if (peek() == open_.back().closing) {
        if (!close()) return false;
        ++at_, skip();
      } else if (peek() == ',') {
        ++at_, skip();
        if (open_.back().closing == '}' && !key()) return false;
        expects_value = true;
      } else {
        return false;
      }
    } while (!open_.empty() || expects_value);
    return at_ == text_.size();
  }

 private:
  struct Open {
    char closing;
    std::size_t first_key;
  };

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip() { at_ = detail::skip_spaces(text_, at_); }

  bool scalar() {
    if (peek() == '"') return string() != std::string_view();
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(at_, word.size()) == word) return at_ += word.size(), true;
    }
    const std::size_t end = detail::number_end(text_, at_);
    return end == at_ ? false : (at_ = end, true);
  }

  // The string here with its quotation marks; nothing if there is none.
  std::string_view string() {
    const std::size_t end = peek() == '"' ? detail::string_end(text_, at_) : at_;
    const std::string_view quoted = text_.substr(at_, end - at_);
    at_ = end;
    if (!surrogates_pair_ || quoted.find('\\') == std::string_view::npos) return quoted;
    bool lone_surrogate = false;
    detail::unescaped(quoted, lone_surrogate);
    return lone_surrogate ? std::string_view() : quoted;
  }

  // A key and its colon.
  bool key() {
    std::string_view quoted = string();
    if (quoted.empty()) return false;
    if (quoted.find('\\') != std::string_view::npos) {
      bool lone_surrogate = false;
      quoted = decoded_.emplace_back('"' + detail::unescaped(quoted, lone_surrogate) + '"');
    }
    keys_.push_back(quoted);
    skip();
    if (peek() != ':') return false;
    ++at_, skip();
    return true;
  }

  // The innermost array or object; false if a key stands in it twice.
  bool close() {
    const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(open_.back().first_key);
    std::sort(first, keys_.end());
    if (std::adjacent_find(first, keys_.end()) != keys_.end()) return false;
    keys_.erase(first, keys_.end());
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  bool surrogates_pair_;  // half of a pair of surrogates may not stand alone
  std::size_t at_ = 0;
  std::vector<Open> open_;
  std::vector<std::string_view> keys_;  // of the objects that are open
  std::deque<std::string> decoded_;     // those of keys_ that had escapes
};

// The value that `text` is; nothing if it is none. Where `surrogates_pair`, half of a pair may not stand alone in it.
inline std::optional<Value> parse(std::string_view text, bool surrogates_pair) {
  if (!Checker(text, surrogates_pair).check()) return std::nullopt;
  const std::size_t begin = detail::skip_spaces(text, 0);
  return Value(text.substr(begin, detail::value_end(text, begin) - begin));
}

}  // namespace trpo_fast::runtime::json
