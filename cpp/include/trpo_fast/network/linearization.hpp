// Linearization: a network at (theta, X). The forward pass is paid once; jvp and vjp are then cheap, per block of rows.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Linearization {
 public:
  // Scratch of one thread: tangents, then cotangents, of each layer's output on one block.
  class Workspace {
   public:
    explicit Workspace(const Network<Scalar>& network) {
      for (Index l = 0; l < network.num_layers(); ++l)
        outputs_.emplace_back(kBlockRows, network.layer(l).output_size());
    }
    Panel<Scalar> output(Index l, Index rows) { return outputs_[static_cast<std::size_t>(l)].panel(0, rows); }
    // The last of them: what jvp returns, and room for a cotangent to begin vjp with.
    Panel<Scalar> phi(Index rows) { return outputs_.back().panel(0, rows); }

   private:
    std::vector<PaddedMatrix<Scalar>> outputs_;
  };

  Linearization(const Network<Scalar>& network, Index n_rows)
      : network_(network),
        packed_(Vector<Scalar>::Zero(network.packed_size())),
        reverse_(Vector<Scalar>::Zero(network.reverse_size())),
        x_(n_rows, network.input_size()) {
    for (Index l = 0; l < network.num_layers(); ++l) {
      activations_.emplace_back(n_rows, network.layer(l).output_size());
      caches_.emplace_back(n_rows, network.layer(l).cache_size());
    }
  }

  Linearization(const Network<Scalar>& network,
                const Scalar* theta,        // (P,)
                ConstMatrixView<Scalar> x,  // (N, input_size)
                int n_threads)
      : Linearization(network, x.rows()) {
    network.pack(theta, packed_.data());
    pack_reverse();
    const Slots slots(x.rows());
    for_each_slot(slots, 0, slots.count(), n_threads, [&](Index /*slot*/, Rows slot_rows, int /*thread*/) {
      for_each_block(slot_rows, [&](Rows rows) {
        input(rows) = block(x, rows);
        forward(rows);
      });
    });
  }

  // For a caller that moves the parameters or the inputs itself: afterwards pack_reverse() and forward() are due.
  Vector<Scalar>& packed() { return packed_; }                                  // (packed_size,)
  Panel<Scalar> input(Rows rows) { return x_.panel(rows.begin, rows.size()); }  // (B, input_size)
  void pack_reverse() { network_.pack_reverse(packed_.data(), reverse_.data()); }

  void forward(Rows rows) {
    for (Index l = 0; l < network_.num_layers(); ++l) {
      LayerBlock<Scalar> block = layer_block(l, rows);
      network_.layer(l).forward(block);
    }
    network_.mask(input(0, rows), activations_.back().panel(rows.begin, rows.size()));
  }

  const Network<Scalar>& network() const { return network_; }
  Index num_rows() const { return x_.rows(); }
  const Vector<Scalar>& packed() const { return packed_; }                                 // (packed_size,)
  ConstPanel<Scalar> input(Rows rows) const { return x_.panel(rows.begin, rows.size()); }  // (B, input_size)
  // phi = f(theta, X), (B, K)
  ConstPanel<Scalar> output(Rows rows) const { return activations_.back().panel(rows.begin, rows.size()); }

  // dphi = J dtheta on a block of rows; dphi lives in the workspace
  Panel<Scalar> jvp(Rows rows,
                    const Scalar* dpacked,  // (packed_size,)
                    Workspace& workspace) const {
    Panel<Scalar> dx(nullptr, rows.size(), network_.input_size(), Eigen::OuterStride<>(0));  // the input does not move
    for (Index l = 0; l < network_.num_layers(); ++l) {
      const Panel<Scalar> dy = workspace.output(l, rows.size());
      network_.layer(l).jvp(layer_block(l, rows), dpacked + network_.packed_offset(l), view(dx), dy);
      new (&dx) Panel<Scalar>(dy);
    }
    return dx;
  }

  // packed_bar += J^T phi_bar on a block of rows; phi_bar is overwritten, and may be the workspace's phi
  void vjp(Rows rows,
           Panel<Scalar> phi_bar,  // (B, K)
           Scalar* packed_bar,     // (packed_size,)
           Workspace& workspace) const {
    vjp(rows, phi_bar, packed_bar, workspace, [](Index, ConstPanel<Scalar>, ConstPanel<Scalar>) {});
  }

  // The same; observe(l, x, y_bar) sees each layer's input, and y_bar as the layer's vjp left it.
  template <class Observer>
  void vjp(Rows rows,
           Panel<Scalar> phi_bar,  // (B, K)
           Scalar* packed_bar,     // (packed_size,)
           Workspace& workspace, Observer&& observe) const {
    Panel<Scalar> y_bar(phi_bar);
    for (Index l = network_.num_layers() - 1; l >= 0; --l) {
      Panel<Scalar> x_bar(nullptr, rows.size(), network_.layer(l).input_size(), Eigen::OuterStride<>(0));
      if (l > 0) new (&x_bar) Panel<Scalar>(workspace.output(l - 1, rows.size()));
      network_.layer(l).vjp(layer_block(l, rows), y_bar, x_bar, packed_bar + network_.packed_offset(l));
      observe(l, input(l, rows), view(y_bar));
      new (&y_bar) Panel<Scalar>(x_bar);
    }
  }

 private:
  static std::size_t at(Index l) { return static_cast<std::size_t>(l); }

  ConstPanel<Scalar> input(Index l, Rows rows) const {
    return (l == 0 ? x_ : activations_[at(l - 1)]).panel(rows.begin, rows.size());
  }

  LayerBlock<Scalar> layer_block(Index l, Rows rows) {
    return {packed_.data() + network_.packed_offset(l), reverse_.data() + network_.reverse_offset(l), input(l, rows),
            activations_[at(l)].panel(rows.begin, rows.size()), caches_[at(l)].panel(rows.begin, rows.size())};
  }
  // The same to read
  const LayerBlock<Scalar> layer_block(Index l, Rows rows) const {
    return const_cast<Linearization*>(this)->layer_block(l, rows);
  }

  const Network<Scalar>& network_;
  Vector<Scalar> packed_;
  Vector<Scalar> reverse_;
  PaddedMatrix<Scalar> x_;
  std::vector<PaddedMatrix<Scalar>> activations_;  // each layer's output, (N, n_l)
  std::vector<PaddedMatrix<Scalar>> caches_;       // what a layer keeps besides, (N, c_l)
};

}  // namespace trpo_fast
