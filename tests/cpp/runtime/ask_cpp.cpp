// Observations on standard input, statuses and actions of an exported policy.hpp on standard output.
#include <cstdint>
#include <cstdio>

#include "policy.hpp"

int main() {
  policy_policy acting;
  float observation[policy_policy::kObservationSize], action[policy_policy::kActionSize];
  while (std::fread(observation, sizeof observation, 1, stdin) == 1) {
    const auto status = static_cast<std::int32_t>(acting.act(observation, action));
    std::fwrite(&status, sizeof status, 1, stdout);
    std::fwrite(action, sizeof action, 1, stdout);
  }
  return 0;
}
