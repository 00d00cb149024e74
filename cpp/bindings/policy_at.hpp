// A policy at one theta on given observations: the checked arguments of objectives and operators.
#pragma once

#include "arrays.hpp"
#include "core/distributions.hpp"
#include "core/network.hpp"
#include "inputs_in.hpp"

namespace trpo_fast::core {

template <class Scalar>
struct PolicyAt {
  const Scalar* theta;  // (P,)
  Inputs<Scalar> x;     // N rows

  PolicyAt(const Network<Scalar>& network, const Distribution<Scalar>& distribution, const py::object& theta_in,
           const py::object& x_in)
      : theta(vector_in<Scalar>(theta_in, "theta", network.num_params()).data),
        x(inputs_in<Scalar>(x_in, "x", network)) {
    expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
  }
};

}  // namespace trpo_fast::core
