// Evaluator: forward passes at one theta, without storing activations.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "inputs.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class Evaluator {
 public:
  // Scratch of one thread: each node's output on one block.
  class Workspace {
   public:
    Workspace(const Network<Scalar>& network, Index max_rows) {
      for (Index j = 0; j < network.num_nodes(); ++j) {
        outputs_.emplace_back(max_rows, network.layer(j).output_size());
        caches_.emplace_back(max_rows, network.layer(j).cache_size());
      }
    }

   private:
    friend class Evaluator;
    Panel<Scalar> output(Index j, Index rows) { return outputs_[static_cast<std::size_t>(j)].panel(0, rows); }
    Panel<Scalar> cache(Index j, Index rows) { return caches_[static_cast<std::size_t>(j)].panel(0, rows); }

    std::vector<PaddedMatrix<Scalar>> outputs_;
    std::vector<PaddedMatrix<Scalar>> caches_;  // written by layers that have one; not read here
  };

  explicit Evaluator(const Network<Scalar>& network)
      : network_(network), packed_(Vector<Scalar>::Zero(network.packed_size())) {}

  void set_theta(const Scalar* theta) { network_.pack(theta, packed_.data()); }  // (P,)

  // f(x; theta) for at most as many rows as the workspace has. The result is valid until its next use.
  ConstPanel<Scalar> forward(ConstPanel<Scalar> x,  // (B, input_size)
                             Workspace& workspace   // -> (B, output_size)
  ) const {
    for (Index j = 0; j < network_.num_nodes(); ++j) {
      if (!network_.leads_to_output(j)) continue;
      const Index input = network_.input(j);
      LayerBlock<Scalar> block{packed_.data() + network_.packed_offset(j), nullptr,
                               input == 0 ? x : view(workspace.output(input - 1, x.rows())),
                               workspace.output(j, x.rows()), workspace.cache(j, x.rows())};
      network_.layer(j).forward(block);
    }
    const Panel<Scalar> phi = workspace.output(network_.num_nodes() - 1, x.rows());
    network_.mask(x, phi);
    return view(phi);
  }

 private:
  const Network<Scalar>& network_;
  Vector<Scalar> packed_;
};

// out = f(x; theta) for any number of rows
template <class Scalar>
void forward(const Network<Scalar>& network,
             const Scalar* theta,           // (P,)
             const Inputs<Scalar>& inputs,  // N rows
             MatrixView<Scalar> out,        // (N, output_size)
             int n_threads) {
  Evaluator<Scalar> evaluator(network);
  evaluator.set_theta(theta);
  const RowBlocks& blocks = inputs.blocks;
  using Workspace = typename Evaluator<Scalar>::Workspace;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads), Workspace(network, blocks.block_rows()));
  for_each_slot(blocks, 0, blocks.num_slots(), n_threads, [&](Index /*slot*/, Rows slot_rows, int thread) {
    blocks.for_each_block(slot_rows, [&](Rows rows) {
      block(out, rows) = evaluator.forward(panel(block(inputs.x, rows)), workspaces[static_cast<std::size_t>(thread)]);
    });
  });
}

}  // namespace trpo_fast
