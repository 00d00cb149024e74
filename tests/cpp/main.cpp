// kernel_tests [PART]: runs every test, or those whose names contain PART, and says what failed.
#include <chrono>
#include <cstdio>
#include <exception>

#include "check.hpp"

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  int n_run = 0, n_failed = 0;
  for (const auto& test : trpo_fast::tests::all_tests()) {
    if (argc > 1 && test.name.find(argv[1]) == std::string::npos) continue;
    ++n_run;
    std::printf("%-70s", test.name.c_str());
    std::fflush(stdout);  // for the reader of one that hangs
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
