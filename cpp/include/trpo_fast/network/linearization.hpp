// Linearization: a network at (theta, X). It stores the activations of one forward pass for jvp and vjp, which work on
// blocks of rows.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "inputs.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Linearization {
 public:
  // Scratch of one thread: tangents, then cotangents, of each node's output on one block.
  class Workspace {
   public:
    Workspace(const Network<Scalar>& network, Index max_rows) {
      for (Index j = 0; j < network.num_nodes(); ++j) outputs_.emplace_back(max_rows, network.layer(j).output_size());
    }
    Panel<Scalar> output(Index j, Index rows) { return outputs_[static_cast<std::size_t>(j)].panel(0, rows); }
    // Of the last node: the result of jvp, and memory for the cotangent that vjp starts from.
    Panel<Scalar> phi(Index rows) { return outputs_.back().panel(0, rows); }

   private:
    std::vector<PaddedMatrix<Scalar>> outputs_;
  };

  Linearization(const Network<Scalar>& network, const RowBlocks& blocks)
      : network_(network),
        blocks_(blocks),
        packed_(Vector<Scalar>::Zero(network.packed_size())),
        reverse_(Vector<Scalar>::Zero(network.reverse_size())),
        x_(blocks.num_rows(), network.input_size()) {
    for (Index j = 0; j < network.num_nodes(); ++j) {
      activations_.emplace_back(blocks.num_rows(), network.layer(j).output_size());
      caches_.emplace_back(blocks.num_rows(), network.layer(j).cache_size());
    }
  }

  Linearization(const Network<Scalar>& network,
                const Scalar* theta,           // (P,)
                const Inputs<Scalar>& inputs,  // N rows
                int n_threads)
      : Linearization(network, inputs.blocks) {
    network.pack(theta, packed_.data());
    pack_reverse();
    for_each_slot(blocks_, 0, blocks_.num_slots(), n_threads, [&](Index /*slot*/, Rows slot_rows, int /*thread*/) {
      blocks_.for_each_block(slot_rows, [&](Rows rows) {
        input(rows) = block(inputs.x, rows);
        forward(rows);
      });
    });
  }

  // For a caller that changes parameters or inputs in place and then calls pack_reverse() and forward().
  Vector<Scalar>& packed() { return packed_; }                                  // (packed_size,)
  Panel<Scalar> input(Rows rows) { return x_.panel(rows.begin, rows.size()); }  // (B, input_size)
  void pack_reverse() { network_.pack_reverse(packed_.data(), reverse_.data()); }

  void forward(Rows rows) {
    for (Index j = 0; j < network_.num_nodes(); ++j) {
      if (!network_.leads_to_output(j)) continue;
      LayerBlock<Scalar> block = layer_block(j, rows);
      network_.layer(j).forward(block);
    }
    network_.mask(view(input(rows)), activations_.back().panel(rows.begin, rows.size()));
  }

  const Network<Scalar>& network() const { return network_; }
  const RowBlocks& blocks() const { return blocks_; }
  Index num_rows() const { return blocks_.num_rows(); }
  const Vector<Scalar>& packed() const { return packed_; }                                 // (packed_size,)
  ConstPanel<Scalar> input(Rows rows) const { return x_.panel(rows.begin, rows.size()); }  // (B, input_size)
  // phi = f(theta, X), (B, K)
  ConstPanel<Scalar> output(Rows rows) const { return activations_.back().panel(rows.begin, rows.size()); }

  // dphi = J dtheta on a block of rows; dphi is in the workspace
  Panel<Scalar> jvp(Rows rows,
                    const Scalar* dpacked,  // (packed_size,)
                    Workspace& workspace) const {
    for (Index j = 0; j < network_.num_nodes(); ++j) {
      if (!network_.leads_to_output(j)) continue;
      network_.layer(j).jvp(layer_block(j, rows), dpacked + network_.packed_offset(j),
                            view(tangent_of_input(j, rows, workspace)), workspace.output(j, rows.size()));
    }
    return workspace.phi(rows.size());
  }

  // packed_bar += J^T phi_bar on a block of rows; phi_bar is overwritten, and may be the workspace's phi
  void vjp(Rows rows,
           Panel<Scalar> phi_bar,  // (B, K)
           Scalar* packed_bar,     // (packed_size,)
           Workspace& workspace) const {
    vjp(rows, phi_bar, packed_bar, workspace, [](Index, ConstPanel<Scalar>, ConstPanel<Scalar>) {});
  }

  // The same; observe(j, x, y_bar) is called with each node's input, and with y_bar as its layer's vjp left it.
  //
  // Every layer reads one buffer, so a single path leads to the output, and each cotangent comes from one reader. With
  // a layer that joins several buffers, the last reader of a buffer writes its cotangent and earlier ones must add to
  // it.
  template <class Observer>
  void vjp(Rows rows,
           Panel<Scalar> phi_bar,  // (B, K)
           Scalar* packed_bar,     // (packed_size,)
           Workspace& workspace, Observer&& observe) const {
    const Index last = network_.num_nodes() - 1;
    for (Index j = last; j >= 0; --j) {
      if (!network_.leads_to_output(j)) continue;
      const LayerBlock<Scalar> block = layer_block(j, rows);
      const Panel<Scalar> y_bar = j == last ? phi_bar : workspace.output(j, rows.size());
      network_.layer(j).vjp(block, y_bar, tangent_of_input(j, rows, workspace), packed_bar + network_.packed_offset(j));
      observe(j, block.x, view(y_bar));
    }
  }

 private:
  static std::size_t at(Index j) { return static_cast<std::size_t>(j); }

  // The tangent or cotangent of the buffer that node j reads; without data for the network's input, whose tangent is 0
  // and whose cotangent is not computed.
  Panel<Scalar> tangent_of_input(Index j, Rows rows, Workspace& workspace) const {
    const Index input = network_.input(j);
    if (input > 0) return workspace.output(input - 1, rows.size());
    return {nullptr, rows.size(), network_.layer(j).input_size(), Eigen::OuterStride<>(0)};
  }

  LayerBlock<Scalar> layer_block(Index j, Rows rows) {
    const Index input = network_.input(j);
    const PaddedMatrix<Scalar>& x = input == 0 ? x_ : activations_[at(input - 1)];
    return {packed_.data() + network_.packed_offset(j), reverse_.data() + network_.reverse_offset(j),
            x.panel(rows.begin, rows.size()), activations_[at(j)].panel(rows.begin, rows.size()),
            caches_[at(j)].panel(rows.begin, rows.size())};
  }
  // The same, read only
  const LayerBlock<Scalar> layer_block(Index j, Rows rows) const {
    return const_cast<Linearization*>(this)->layer_block(j, rows);
  }

  const Network<Scalar>& network_;
  RowBlocks blocks_;
  Vector<Scalar> packed_;
  Vector<Scalar> reverse_;
  PaddedMatrix<Scalar> x_;
  std::vector<PaddedMatrix<Scalar>> activations_;  // each node's output, (N, n_j)
  std::vector<PaddedMatrix<Scalar>> caches_;       // what its layer stores as well, (N, c_j)
};

}  // namespace trpo_fast
