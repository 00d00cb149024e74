// Linearization: a network at (theta, X). The forward pass is paid once; jvp and vjp are then cheap, per block of rows.
#pragma once

#include <vector>

#include "../blocks.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Linearization {
 public:
  // Scratch of one thread: tangents or cotangents of one block, passed from layer to layer.
  class Workspace {
   public:
    explicit Workspace(const Network<Scalar>& network)
        : buffers_{Vector<Scalar>(kBlockRows * network.max_width()), Vector<Scalar>(kBlockRows * network.max_width())} {
    }
    Scalar* buffer(Index i) { return buffers_[i % 2].data(); }

   private:
    Vector<Scalar> buffers_[2];
  };

  Linearization(const Network<Scalar>& network,
                ConstVectorView<Scalar> theta,  // (P,)
                ConstMatrixView<Scalar> x       // (N, input_size)
                )
      : network_(network), theta_(theta), x_(x) {
    for (Index l = 0; l < network.num_layers(); ++l) {
      activations_.emplace_back(x.rows(), network.layer(l).output_size());
      caches_.emplace_back(x.rows(), network.layer(l).cache_size());
    }
    for_each_block(x.rows(), [&](Rows rows) {
      for (Index l = 0; l < network.num_layers(); ++l) {
        network.layer(l).forward(network.segment(theta.data(), l), input(l, rows), block(activations_[at(l)], rows),
                                 block(caches_[at(l)], rows));
      }
    });
  }

  const Network<Scalar>& network() const { return network_; }
  Index num_rows() const { return x_.rows(); }
  const RowMatrix<Scalar>& inputs() const { return x_; }                   // (N, input_size)
  const RowMatrix<Scalar>& output() const { return activations_.back(); }  // (N, K)  phi = f(theta, X)

  // dphi = J dtheta on a block of rows
  void jvp(Rows rows,
           const Scalar* dtheta,     // (P,)
           MatrixView<Scalar> dphi,  // (B, K)
           Workspace& workspace) const {
    const Index last = network_.num_layers() - 1;
    const Scalar* dx = nullptr;  // the input does not move
    for (Index l = 0; l <= last; ++l) {
      const Layer<Scalar>& layer = network_.layer(l);
      Scalar* dy = l == last ? dphi.data() : workspace.buffer(l);
      layer.jvp(layer_block(l, rows), network_.segment(dtheta, l), {dx, rows.size(), layer.input_size()},
                {dy, rows.size(), layer.output_size()});
      dx = dy;
    }
  }

  // theta_bar += J^T phi_bar on a block of rows; phi_bar is overwritten
  void vjp(Rows rows,
           MatrixView<Scalar> phi_bar,  // (B, K)
           Scalar* theta_bar,           // (P,)
           Workspace& workspace) const {
    Scalar* y_bar = phi_bar.data();
    for (Index l = network_.num_layers() - 1; l >= 0; --l) {
      const Layer<Scalar>& layer = network_.layer(l);
      Scalar* x_bar = l == 0 ? nullptr : workspace.buffer(l);
      layer.vjp(layer_block(l, rows), {y_bar, rows.size(), layer.output_size()},
                {x_bar, rows.size(), layer.input_size()}, network_.segment(theta_bar, l));
      y_bar = x_bar;
    }
  }

 private:
  static std::size_t at(Index l) { return static_cast<std::size_t>(l); }

  ConstMatrixView<Scalar> input(Index l, Rows rows) const { return block(l == 0 ? x_ : activations_[at(l - 1)], rows); }

  LayerBlock<Scalar> layer_block(Index l, Rows rows) const {
    return {network_.segment(theta_.data(), l), input(l, rows), block(activations_[at(l)], rows),
            block(caches_[at(l)], rows)};
  }

  const Network<Scalar>& network_;
  Vector<Scalar> theta_;  // copies: the caller's arrays may change
  RowMatrix<Scalar> x_;
  std::vector<RowMatrix<Scalar>> activations_;  // each layer's output, (N, n_l)
  std::vector<RowMatrix<Scalar>> caches_;       // what a layer keeps besides, (N, c_l)
};

}  // namespace trpo_fast
