// Observations, each with its noise behind, on standard input; on standard output the statuses and actions of an
// exported policy.hpp: of act(), then of sample(). With an argument it exits with the number of golden vectors that
// fail, instead.
#include <cstdint>
#include <cstdio>

#define POLICY_NO_MAIN
#include "policy_test.cpp"

namespace {

void write_result(trpo_fast::runtime::ActStatus status, const float* action) {
  const auto number = static_cast<std::int32_t>(status);
  std::fwrite(&number, sizeof number, 1, stdout);
  std::fwrite(action, sizeof(float), policy_policy::kActionSize, stdout);
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) return policy_self_test();
  policy_policy acting, sampling;
  float observation[policy_policy::kObservationSize], noise[policy_policy::kActionSize];
  float action[policy_policy::kActionSize];
  while (std::fread(observation, sizeof observation, 1, stdin) == 1 && std::fread(noise, sizeof noise, 1, stdin) == 1) {
    write_result(acting.act(observation, action), action);
    write_result(sampling.sample(observation, noise, action), action);
  }
  return 0;
}
