// Evaluator: forward passes at one theta that keep nothing.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Evaluator {
 public:
  // Scratch of one thread: each layer's output on one block.
  class Workspace {
   public:
    Workspace(const Network<Scalar>& network, Index max_rows) {
      for (Index l = 0; l < network.num_layers(); ++l) {
        outputs_.emplace_back(max_rows, network.layer(l).output_size());
        caches_.emplace_back(max_rows, network.layer(l).cache_size());
      }
    }

   private:
    friend class Evaluator;
    ConstPanel<Scalar> output(Index l, Index rows) const {
      return outputs_[static_cast<std::size_t>(l)].panel(0, rows);
    }

    std::vector<PaddedMatrix<Scalar>> outputs_;
    std::vector<PaddedMatrix<Scalar>> caches_;  // written by layers that keep something; not read here
  };

  explicit Evaluator(const Network<Scalar>& network)
      : network_(network), packed_(Vector<Scalar>::Zero(network.packed_size())) {}

  void set_theta(const Scalar* theta) { network_.pack(theta, packed_.data()); }  // (P,)

  // f(x; theta), at most as many rows as the workspace has; valid until its next use
  ConstPanel<Scalar> forward(ConstPanel<Scalar> x,  // (B, input_size)
                             Workspace& workspace   // -> (B, output_size)
  ) const {
    forward_layer(0, x, workspace);
    for (Index l = 1; l < network_.num_layers(); ++l) forward_layer(l, workspace.output(l - 1, x.rows()), workspace);
    network_.mask(x, workspace.outputs_.back().panel(0, x.rows()));
    return workspace.output(network_.num_layers() - 1, x.rows());
  }

 private:
  void forward_layer(Index l, ConstPanel<Scalar> input, Workspace& workspace) const {
    const auto at = static_cast<std::size_t>(l);
    LayerBlock<Scalar> block{packed_.data() + network_.packed_offset(l), nullptr, input,
                             workspace.outputs_[at].panel(0, input.rows()),
                             workspace.caches_[at].panel(0, input.rows())};
    network_.layer(l).forward(block);
  }

  const Network<Scalar>& network_;
  Vector<Scalar> packed_;
};

// out = f(x; theta) for any number of rows
template <class Scalar>
void forward(const Network<Scalar>& network, const Scalar* theta, ConstMatrixView<Scalar> x, MatrixView<Scalar> out,
             int n_threads) {
  Evaluator<Scalar> evaluator(network);
  evaluator.set_theta(theta);
  using Workspace = typename Evaluator<Scalar>::Workspace;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads), Workspace(network, kBlockRows));
  const Slots slots(x.rows());
  for_each_slot(slots, 0, slots.count(), n_threads, [&](Index /*slot*/, Rows rows, int thread) {
    for_each_block(rows, [&](Rows b) {
      block(out, b) = evaluator.forward(panel(block(x, b)), workspaces[static_cast<std::size_t>(thread)]);
    });
  });
}

}  // namespace trpo_fast
