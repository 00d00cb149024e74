// LinearOperator: a symmetric positive (semi-)definite matrix A, given by its products alone.
#pragma once

#include "../index.hpp"

namespace trpo_fast {

class LinearOperator {
 public:
  virtual ~LinearOperator() = default;
  virtual Index size() const = 0;

  // out = A v. Not const: an operator may own scratch memory, and computes one product at a time.
  virtual void multiply(const double* v, double* out) = 0;
};

}  // namespace trpo_fast
