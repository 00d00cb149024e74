#include "process.hpp"

#include "trpo_fast/parallel/for_each_slot.hpp"

namespace trpo_fast::core {

int max_threads() { return kMaxThreads; }
int num_threads() { return default_threads(); }
void set_num_threads(int n_threads) { default_threads() = n_threads; }

void set_interrupt_hook(void (*hook)()) { interrupt_hook = hook; }

std::string eigen_version() {
  return std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
         std::to_string(EIGEN_MINOR_VERSION);
}
std::string simd_instruction_sets() { return Eigen::SimdInstructionSetsInUse(); }

}  // namespace trpo_fast::core
