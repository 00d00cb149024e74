// Evaluator: forward passes that keep nothing but scratch blocks, allocated once.
#pragma once

#include <algorithm>

#include "../blocks.hpp"
#include "network.hpp"

namespace trpo_fast {

// Theta is copied and results are its own: Eigen rounds differently at differently aligned addresses, and a caller's
// array may lie anywhere. Inputs must begin where a RowMatrix or a block of one does.
template <class Scalar>
class Evaluator {
 public:
  explicit Evaluator(const Network<Scalar>& network)
      : network_(network),
        theta_(network.num_params()),
        scratch_{Vector<Scalar>(kBlockRows * network.max_width()), Vector<Scalar>(kBlockRows * network.max_width())},
        cache_(kBlockRows * network.max_cache_size()) {}

  void set_theta(const Scalar* theta) { std::copy_n(theta, theta_.size(), theta_.data()); }  // (P,)

  // f(x; theta), at most kBlockRows rows; valid until the next call
  ConstMatrixView<Scalar> forward(ConstMatrixView<Scalar> x) {  // (B, input_size) -> (B, output_size)
    const Vector<Scalar>& theta = theta_;
    const Scalar* input = x.data();
    for (Index l = 0; l < network_.num_layers(); ++l) {
      const Layer<Scalar>& layer = network_.layer(l);
      Scalar* output = scratch_[l % 2].data();
      layer.forward(network_.segment(theta.data(), l), {input, x.rows(), layer.input_size()},
                    {output, x.rows(), layer.output_size()}, {cache_.data(), x.rows(), layer.cache_size()});
      input = output;
    }
    return {input, x.rows(), network_.output_size()};
  }

 private:
  const Network<Scalar>& network_;
  Vector<Scalar> theta_;
  Vector<Scalar> scratch_[2];  // the matrix between two layers, by turns
  Vector<Scalar> cache_;       // written by layers that keep something; not read here
};

// out = f(x; theta) for any number of rows, anywhere in memory
template <class Scalar>
void forward(const Network<Scalar>& network, const Scalar* theta, ConstMatrixView<Scalar> x, MatrixView<Scalar> out) {
  Evaluator<Scalar> evaluator(network);
  evaluator.set_theta(theta);
  RowMatrix<Scalar> x_block(std::min(kBlockRows, x.rows()), x.cols());
  for_each_block(x.rows(), [&](Rows rows) {
    block(x_block, {0, rows.size()}) = block(x, rows);
    block(out, rows) = evaluator.forward(view(block(x_block, {0, rows.size()})));
  });
}

}  // namespace trpo_fast
