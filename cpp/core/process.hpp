// Threads, interrupts, and how the kernels were compiled.
#pragma once

#include <string>

namespace trpo_fast::core {

int max_threads();
int num_threads();  // default of a long call, including the caller's
void set_num_threads(int n_threads);

// Called regularly on the thread of a long call; may throw to stop it. Set once, at start-up.
void set_interrupt_hook(void (*hook)());

std::string eigen_version();
std::string simd_instruction_sets();

}  // namespace trpo_fast::core
