// How often a policy allocates while it acts, samples and acts on batches: `allocations FILE` prints the number.
#include <cstdio>
#include <limits>
#include <vector>

#include "../counted_new.hpp"
#include "trpo_fast/policy.hpp"

int main(int, char** argv) {
  using namespace trpo_fast::runtime;
  LoadedPolicy loaded = load_policy(std::string(argv[1]));
  if (!loaded.policy || trpo_fast::tests::count_of_new() == 0) return 1;
  Policy& policy = *loaded.policy;
  constexpr std::size_t kRows = 100;
  const auto observation_size = static_cast<std::size_t>(policy.observation_size());
  const auto action_size = static_cast<std::size_t>(policy.action_size());
  std::vector<float> observations(kRows * observation_size, 1.0f), actions(kRows * action_size),
      noise(action_size, 0.5f);
  observations[3 * observation_size] = std::numeric_limits<float>::quiet_NaN();

  const long before = trpo_fast::tests::count_of_new();
  for (std::size_t i = 0; i < kRows; ++i) {
    policy.act(observations.data() + i * observation_size, actions.data());
    policy.sample(observations.data() + i * observation_size, noise.data(), actions.data());
  }
  const std::size_t num_ok = policy.act_batch(observations.data(), kRows, actions.data());
  std::printf("%ld allocations, %zu of %zu ok\n", trpo_fast::tests::count_of_new() - before, num_ok, kRows);
  return 0;
}
