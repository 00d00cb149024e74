// How often a policy allocates while it acts, samples and acts on batches: `allocations FILE` prints the number.
#include <cstdint>
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
  if (observation_size > 0) observations[3 * observation_size] = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::vector<std::uint8_t>> pixels;
  std::vector<ImageView> images;
  for (int i = 0; i < policy.num_images(); ++i) {
    const ImageSize size = policy.image_size(i);
    pixels.emplace_back(static_cast<std::size_t>(size.channels * size.height * size.width));
    images.push_back(interleaved(pixels.back().data(), size.channels, size.height, size.width));
  }

  const long before = trpo_fast::tests::count_of_new();
  std::size_t num_ok = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    const float* observation = observations.data() + i * observation_size;
    num_ok += policy.act(observation, images.data(), images.size(), actions.data()) == ActStatus::ok ? 1 : 0;
    policy.sample(observation, images.data(), images.size(), noise.data(), actions.data());
  }
  if (images.empty()) num_ok = policy.act_batch(observations.data(), kRows, actions.data());
  std::printf("%ld allocations, %zu of %zu ok\n", trpo_fast::tests::count_of_new() - before, num_ok, kRows);
  return 0;
}
