// How often a policy allocates while it acts, samples and acts on batches: `allocations FILE` prints the number.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "trpo_fast/policy.hpp"

namespace {
std::uint64_t num_allocations = 0;
}

void* operator new(std::size_t size) {
  ++num_allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int, char** argv) {
  using namespace trpo_fast::runtime;
  LoadedPolicy loaded = load_policy(std::string(argv[1]));
  if (!loaded.policy || num_allocations == 0) return 1;
  Policy& policy = *loaded.policy;
  constexpr std::size_t kRows = 100;
  const auto observation_size = static_cast<std::size_t>(policy.observation_size());
  const auto action_size = static_cast<std::size_t>(policy.action_size());
  std::vector<float> observations(kRows * observation_size, 1.0f), actions(kRows * action_size),
      noise(action_size, 0.5f);
  observations[3 * observation_size] = std::numeric_limits<float>::quiet_NaN();

  const std::uint64_t before = num_allocations;
  for (std::size_t i = 0; i < kRows; ++i) {
    policy.act(observations.data() + i * observation_size, actions.data());
    policy.sample(observations.data() + i * observation_size, noise.data(), actions.data());
  }
  const std::size_t num_ok = policy.act_batch(observations.data(), kRows, actions.data());
  std::printf("%llu allocations, %zu of %zu ok\n", static_cast<unsigned long long>(num_allocations - before), num_ok,
              kRows);
  return 0;
}
