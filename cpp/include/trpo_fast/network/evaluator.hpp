// Evaluator: forward passes at one theta, without storing activations.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "forward_workspace.hpp"

namespace trpo_fast {

template <class Scalar>
class Evaluator {
 public:
  // Scratch of one thread
  class Workspace : public ForwardWorkspace<Scalar> {
   public:
    Workspace(const Network<Scalar>& network, Index max_rows)
        : ForwardWorkspace<Scalar>(network, max_rows, [](Index /*j*/) { return true; }) {}
  };

  explicit Evaluator(const Network<Scalar>& network)
      : network_(network), packed_(Vector<Scalar>::Zero(network.packed_size())) {}

  void set_theta(const Scalar* theta) { network_.pack(theta, packed_.data()); }  // (P,)

  // f(x; theta) for at most as many rows as the workspace has. The result is valid until its next use.
  ConstPanel<Scalar> forward(const InputBlock<Scalar>& inputs,  // B rows
                             Workspace& workspace               // -> (B, output_size)
  ) const {
    const Index rows = inputs.x.rows();
    const auto output = [&](Index j) { return view(workspace.output(j, rows)); };
    workspace.gather(inputs);
    for (Index j = 0; j < network_.num_nodes(); ++j) {
      if (!network_.leads_to_output(j)) continue;
      workspace.join(j, inputs, output);
      LayerBlock<Scalar> block{packed_.data() + network_.packed_offset(j),
                               nullptr,
                               workspace.input(j, inputs, output),
                               workspace.output(j, rows),
                               workspace.cache(j, rows),
                               inputs.sequence.of_state(network_.state_offset(j))};
      network_.layer(j).forward(block);
    }
    const Panel<Scalar> phi = workspace.output(network_.num_nodes() - 1, rows);
    network_.mask(inputs.x, phi);
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
             int n_threads,
             Scalar* last_states = nullptr  // (number of lanes, state_size); null: not asked for
) {
  Evaluator<Scalar> evaluator(network);
  evaluator.set_theta(theta);
  const RowBlocks& blocks = inputs.blocks;
  using Workspace = typename Evaluator<Scalar>::Workspace;
  std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads), Workspace(network, blocks.block_rows()));
  for_each_slot(blocks, 0, blocks.num_slots(), n_threads, [&](Index /*slot*/, Rows slot_rows, int thread) {
    blocks.for_each_block(slot_rows, [&](Rows rows) {
      InputBlock<Scalar> at = inputs.block(rows);
      if (last_states != nullptr) {
        at.sequence.last_states = last_states + rows.begin / inputs.sequences.length * network.state_size();
      }
      block(out, rows) = evaluator.forward(at, workspaces[static_cast<std::size_t>(thread)]);
    });
  });
}

}  // namespace trpo_fast
