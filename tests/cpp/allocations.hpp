// What a function of the kernels allocates.
#pragma once

#include <Eigen/Core>

#include "counted_new.hpp"

namespace trpo_fast::tests {

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
