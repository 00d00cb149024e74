// kernel_tests [PART | -PART]: runs every test, or those whose names contain PART, or all but these, and says what
// failed. Threads that wait for each other are ended by an alarm.
#include <chrono>
#include <cstdio>
#include <exception>

#include "check.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
constexpr unsigned kSecondsATest = 120;
void limit_time() { alarm(kSecondsATest); }
#else
void limit_time() {}
#endif

bool selected(const std::string& name, const std::string& argument) {
  const bool without = !argument.empty() && argument.front() == '-';
  return (name.find(argument.substr(without ? 1 : 0)) != std::string::npos) != without;
}

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  int n_run = 0, n_failed = 0;
  for (const auto& test : trpo_fast::tests::all_tests()) {
    if (!selected(test.name, argc > 1 ? argv[1] : "")) continue;
    ++n_run;
    std::printf("%-70s", test.name.c_str());
    std::fflush(stdout);  // for the reader of one that hangs
    limit_time();
    const auto begin = Clock::now();
    std::string failure;
    try {
      test.run();
    } catch (const std::exception& error) {
      ++n_failed;
      failure = std::string("\n  ") + error.what();
    }
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - begin;
    std::printf(" %-6s %6.0f ms%s\n", failure.empty() ? "ok" : "FAILED", elapsed.count(), failure.c_str());
  }
  std::printf("%d of %d passed\n", n_run - n_failed, n_run);
  return n_failed == 0 && n_run > 0 ? 0 : 1;
}
