// What the runtime makes of files, for tests in Python. Standard input, again and again: size and bytes of a file,
// number of observations, and for each its numbers and its noise, if the file is a policy. Standard output: the load's
// status; of a policy its sizes, and for each observation the status of act() and its action, then those of sample().
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "trpo_fast/policy.hpp"

using namespace trpo_fast::runtime;

namespace {

template <class T>
bool read(T* to, std::size_t n) {
  return std::fread(to, sizeof(T), n, stdin) == n;
}

template <class T>
void write(const T* from, std::size_t n) {
  std::fwrite(from, sizeof(T), n, stdout);
}

}  // namespace

int main() {
  std::uint64_t size = 0, num_observations = 0;
  while (read(&size, 1)) {
    std::string content(size, '\0');
    if (!read(content.data(), size) || !read(&num_observations, 1)) return 1;
    LoadedPolicy loaded = load_policy(content.data(), content.size());
    const auto status = static_cast<std::int32_t>(loaded.problem.status);
    write(&status, 1);
    if (loaded.policy) {
      const std::int32_t sizes[] = {loaded.policy->observation_size(), loaded.policy->action_size()};
      write(sizes, 2);
      std::vector<float> observation(static_cast<std::size_t>(sizes[0])), noise(static_cast<std::size_t>(sizes[1]));
      std::vector<float> action(noise.size());
      for (std::uint64_t i = 0; i < num_observations; ++i) {
        if (!read(observation.data(), observation.size()) || !read(noise.data(), noise.size())) return 1;
        for (const bool deterministic : {true, false}) {
          const auto act_status = static_cast<std::int32_t>(
              deterministic ? loaded.policy->act(observation.data(), action.data())
                            : loaded.policy->sample(observation.data(), noise.data(), action.data()));
          write(&act_status, 1);
          write(action.data(), action.size());
        }
      }
    }
  }
  return 0;
}
