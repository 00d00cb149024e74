// Loops over a batch on several threads.
#pragma once

#include "../blocks.hpp"
#include "thread_pool.hpp"

namespace trpo_fast {

// Called before each slot on the calling thread; may throw to stop a long call (the Python binding checks for Ctrl-C).
// Set once, at start-up.
inline void (*interrupt_hook)() = nullptr;

inline void poll_interrupt() {
  if (interrupt_hook != nullptr) interrupt_hook();
}

// Calls f(slot, Rows, thread) for slots [first, last), in any order, on at most n_threads threads.
template <class Function>
void for_each_slot(const RowBlocks& blocks, Index first, Index last, int n_threads, Function&& f) {
  ThreadPool::instance().run(last - first, n_threads, [&](Index task, int thread) {
    if (thread == 0) poll_interrupt();
    f(first + task, blocks.slot(first + task), thread);
  });
}

}  // namespace trpo_fast
