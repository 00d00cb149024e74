// The JSON of a policy file's header, read once from front to back.
//
// trpo_fast writes it, and Python loads it, in a small part of the language: printable ASCII, no escapes but \" and \\,
// no numbers but integers >= 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace trpo_fast::runtime {

// Each method reads what comes next, and returns whether that was there. After a false, reading is over.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool take(char c) {
    skip_spaces();
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  bool take_end() {
    skip_spaces();
    return at_ == text_.size();
  }

  // What is between the quotation marks, as it is written: equal strings are written alike.
  bool take_string(std::string_view& to) {
    if (!take('"')) return false;
    const std::size_t first = at_;
    for (; peek() != '"'; ++at_) {
      const bool is_escaped = peek() == '\\';
      if (is_escaped) ++at_;
      const char c = peek();
      if (c < ' ' || c > '~' || (is_escaped && c != '"' && c != '\\')) return false;
    }
    to = text_.substr(first, at_++ - first);
    return true;
  }

  bool take_integer(std::int64_t& to) {
    skip_spaces();
    const std::size_t first = at_;
    for (to = 0; peek() >= '0' && peek() <= '9'; ++at_) {
      const int digit = peek() - '0';
      if (to > ((std::numeric_limits<std::int64_t>::max)() - digit) / 10) return false;
      to = 10 * to + digit;
    }
    return at_ == first + 1 || (at_ > first && text_[first] != '0');
  }

  // The text of any value, of which only quotation marks and brackets are looked at.
  bool take_value(std::string_view& to) {
    skip_spaces();
    const std::size_t first = at_;
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = peek();
      if (c == '"') {
        for (++at_; at_ < text_.size() && peek() != '"'; ++at_) at_ += peek() == '\\' ? 1 : 0;
      } else if (c == '[' || c == '{') {
        ++depth;
      } else if (c == ']' || c == '}') {
        if (depth == 0) break;
        --depth;
      } else if (depth == 0 && (c == ',' || c == ':')) {
        break;
      }
    }
    to = text_.substr(first, at_ - first);
    to = to.substr(0, to.find_last_not_of(' ') + 1);
    return !to.empty();
  }

  // take_item() reads an item, again and again.
  template <class TakeItem>
  bool take_list(TakeItem&& take_item) {
    return take_items('[', take_item, ']');
  }

  // take_member() reads a key, its colon and its value, again and again.
  template <class TakeMember>
  bool take_object(TakeMember&& take_member) {
    return take_items('{', take_member, '}');
  }

 private:
  template <class TakeItem>
  bool take_items(char first, TakeItem&& take_item, char last) {
    if (!take(first)) return false;
    if (take(last)) return true;
    do {
      if (!take_item()) return false;
    } while (take(','));
    return take(last);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_spaces() {
    while (peek() == ' ') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// A string as take_string() has it, without its escapes.
inline std::string without_escapes(std::string_view written) {
  std::string text;
  text.reserve(written.size());
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] == '\\') ++i;
    text += written[i];
  }
  return text;
}

}  // namespace trpo_fast::runtime
