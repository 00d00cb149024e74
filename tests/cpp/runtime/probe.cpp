// What the runtime makes of files, for tests in Python.
//
//   probe              of contents, as below; policies fall back on the last action
//   probe zero         the same, and they fall back on zero
//   probe load PATH    the status of loading a file, as a number, the most memory used, in kB, and the message
//
// Standard input, again and again: size and bytes of a file, number of observations, and for each its numbers and its
// noise, if the file is a policy. Standard output: the load's status; of a policy its sizes, and for each observation
// the status of act() and its action, then those of sample().
#include <cstdint>
#include <cstdio>
#include <cstring>
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

void write_result(ActStatus status, const float* action, std::size_t action_size) {
  const auto number = static_cast<std::int32_t>(status);
  write(&number, 1);
  write(action, action_size);
}

// The most memory that this process ever had, in kB; 0 where the system does not say.
int peak_memory() {
  int peak = 0;
  char line[256];
  std::FILE* status = std::fopen("/proc/self/status", "r");
  while (status != nullptr && std::fgets(line, sizeof line, status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %d", &peak) == 1) break;
  }
  if (status != nullptr) std::fclose(status);
  return peak;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    const LoadProblem problem = load_policy(argv[2]).problem;
    std::printf("%d %d %s\n", static_cast<int>(problem.status), peak_memory(), problem.message.c_str());
    return 0;
  }
  const Fallback fallback = argc == 2 && std::strcmp(argv[1], "zero") == 0 ? Fallback::zero : Fallback::hold_last;
  std::uint64_t size = 0, num_observations = 0;
  while (read(&size, 1)) {
    std::vector<char> content(size);  // without the 0 that is behind a string
    if (!read(content.data(), size) || !read(&num_observations, 1)) return 1;
    LoadedPolicy loaded = load_policy(content.data(), content.size(), fallback);
    const auto status = static_cast<std::int32_t>(loaded.problem.status);
    write(&status, 1);
    if (loaded.policy) {
      const std::int32_t sizes[] = {loaded.policy->observation_size(), loaded.policy->action_size()};
      write(sizes, 2);
      const auto observation_size = static_cast<std::size_t>(sizes[0]),
                 action_size = static_cast<std::size_t>(sizes[1]);
      Policy for_batches = *loaded.policy;
      std::vector<float> observations(num_observations * observation_size), actions(num_observations * action_size);
      std::vector<float> noise(action_size), sampled(action_size);
      std::size_t num_ok = 0;
      for (std::size_t i = 0; i < num_observations; ++i) {
        float* observation = observations.data() + i * observation_size;
        float* action = actions.data() + i * action_size;
        if (!read(observation, observation_size) || !read(noise.data(), action_size)) return 1;
        const ActStatus acted = loaded.policy->act(observation, action);
        write_result(acted, action, action_size);
        write_result(loaded.policy->sample(observation, noise.data(), sampled.data()), sampled.data(), action_size);
        num_ok += acted == ActStatus::ok ? 1 : 0;
      }
      // a copy, asked for all of them at once, must have the same actions, where they are no fallbacks
      std::vector<float> batch(actions.size());
      if (for_batches.act_batch(observations.data(), num_observations, batch.data()) != num_ok) return 1;
      if (num_ok == num_observations && batch != actions) return 1;
    }
  }
  return 0;
}
