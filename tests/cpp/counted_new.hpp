// operator new, counted.
#pragma once

#include <Eigen/Core>

namespace trpo_fast::tests {

long count_of_new();  // calls so far, by any thread

// Allocations of f(); one of Eigen's stops the program
template <class Function>
long allocations(Function&& f) {
  const long before = count_of_new();
  Eigen::internal::set_is_malloc_allowed(false);
  f();
  Eigen::internal::set_is_malloc_allowed(true);
  return count_of_new() - before;
}

}  // namespace trpo_fast::tests
