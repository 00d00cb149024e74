// GradientSum: the sum of cotangents of theta over the rows of a batch.
#pragma once

#include "../parallel/slot_sum.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class GradientSum {
 public:
  GradientSum(const Network<Scalar>& network, const RowBlocks& blocks, int n_threads)
      : network_(network), sum_(network.packed_size(), blocks, num_partials(network.packed_size(), n_threads)) {}

  // theta_bar = the sum of what add(Rows, thread, packed_bar) adds to packed_bar, block by block
  template <class Function>
  void run(int n_threads,
           double* theta_bar,  // (P,)
           Function&& add) {
    network_.unpack(sum_.run(n_threads, add).data(), theta_bar);
  }

 private:
  const Network<Scalar>& network_;
  SlotSum<Scalar> sum_;
};

}  // namespace trpo_fast
