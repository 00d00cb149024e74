// A test is a function that throws where something does not hold.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace trpo_fast::tests {

struct Test {
  std::string name;
  std::function<void()> run;
};

inline std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

struct Registered {
  Registered(std::string name, std::function<void()> run) { all_tests().push_back({std::move(name), std::move(run)}); }
};

#define TEST(name)                                 \
  void name();                                     \
  const Registered registered_##name(#name, name); \
  void name()

// A test of both kinds of kernels, a template over Scalar
#define TEST_BOTH(name)                                                      \
  template <class Scalar>                                                    \
  void name();                                                               \
  const Registered registered_float_##name(#name "<float>", name<float>);    \
  const Registered registered_double_##name(#name "<double>", name<double>); \
  template <class Scalar>                                                    \
  void name()

// "rows 3, columns 7"
inline void describe_to(std::ostringstream&) {}
template <class Value, class... Rest>
void describe_to(std::ostringstream& out, const char* name, const Value& value, const Rest&... rest) {
  out << (out.tellp() > 0 ? ", " : "") << name << " " << value;
  describe_to(out, rest...);
}
template <class... Parts>
std::string describe(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  describe_to(out, parts...);
  return out.str();
}

// What follows the condition says where: names and values, as describe() takes them.
#define CHECK(condition, ...)                                                                               \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": " + #condition + \
                               " does not hold at " + ::trpo_fast::tests::describe(__VA_ARGS__));           \
    }                                                                                                       \
  } while (false)

template <class Value>
bool same_bits(const Value& a, const Value& b) {
  return std::memcmp(&a, &b, sizeof(Value)) == 0;
}

// ||actual - expected|| <= tolerance ||expected|| + the oracle's own rounding; where -Inf is expected it must be
template <class Actual, class Expected>
bool is_close(const Actual& actual, const Expected& expected, double tolerance) {
  long double error = 0.0L, scale = 0.0L;
  for (std::size_t i = 0; i < static_cast<std::size_t>(expected.size()); ++i) {
    const auto e = static_cast<long double>(expected[i]);
    const auto a = static_cast<long double>(actual[i]);
    if (std::isinf(e) && a == e) continue;
    error += (a - e) * (a - e);
    scale += e * e;
  }
  return std::sqrt(error) <= static_cast<long double>(tolerance) * std::sqrt(scale) + 1e-17L;
}

}  // namespace trpo_fast::tests
