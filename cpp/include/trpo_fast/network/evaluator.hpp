// Evaluator: forward passes that keep nothing but two scratch blocks, allocated once.
#pragma once

#include "../blocks.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Evaluator {
 public:
  explicit Evaluator(const Network<Scalar>& network)
      : network_(network),
        scratch_{Vector<Scalar>(kBlockRows * network.max_width()), Vector<Scalar>(kBlockRows * network.max_width())},
        cache_(kBlockRows * network.max_cache_size()) {}

  // out = f(x; theta), at most kBlockRows rows
  void forward(const Scalar* theta,        // (P,)
               ConstMatrixView<Scalar> x,  // (B, input_size)
               MatrixView<Scalar> out      // (B, output_size)
  ) {
    const Index last = network_.num_layers() - 1;
    const Scalar* input = x.data();
    for (Index l = 0; l <= last; ++l) {
      const Layer<Scalar>& layer = network_.layer(l);
      Scalar* output = l == last ? out.data() : scratch_[l % 2].data();
      layer.forward(network_.segment(theta, l), {input, x.rows(), layer.input_size()},
                    {output, x.rows(), layer.output_size()}, {cache_.data(), x.rows(), layer.cache_size()});
      input = output;
    }
  }

 private:
  const Network<Scalar>& network_;
  Vector<Scalar> scratch_[2];  // the matrix between two layers, by turns
  Vector<Scalar> cache_;       // written by layers that keep something; not read here
};

// out = f(x; theta) for any number of rows
template <class Scalar>
void forward(const Network<Scalar>& network, const Scalar* theta, ConstMatrixView<Scalar> x, MatrixView<Scalar> out) {
  Evaluator<Scalar> evaluator(network);
  for_each_block(x.rows(), [&](Rows rows) { evaluator.forward(theta, block(x, rows), block(out, rows)); });
}

}  // namespace trpo_fast
