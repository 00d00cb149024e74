// A policy at one theta on given observations: the checked arguments of objectives and operators.
#pragma once

#include "arrays.hpp"
#include "trpo_fast/distributions/distribution.hpp"
#include "trpo_fast/network/network.hpp"

namespace trpo_fast::bindings {

template <class Scalar>
struct PolicyAt {
  ConstVectorView<Scalar> theta;
  ConstMatrixView<Scalar> x;

  PolicyAt(const Network<Scalar>& network, const Distribution<Scalar>& distribution, const py::object& theta_in,
           const py::object& x_in)
      : theta(vector_in<Scalar>(theta_in, "theta", network.num_params())),
        x(matrix_in<Scalar>(x_in, "x", kAnySize, network.input_size())) {
    expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
  }
};

}  // namespace trpo_fast::bindings
