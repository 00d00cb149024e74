// Linearization: a network at (theta, X), for jvp and vjp on blocks of rows.
//
// It stores the outputs of all nodes on the whole batch if they fit into the activation budget. Otherwise it stores
// only phi, and load() computes a block's other outputs again, by the same operations: results have the same bits.
// Pixels are never stored as floats.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "forward_workspace.hpp"

namespace trpo_fast {

template <class Scalar>
class Linearization {
 public:
  // Scratch of one thread: what load() fills, and tangents, then cotangents, on one block.
  class Workspace : public ForwardWorkspace<Scalar> {
   public:
    explicit Workspace(const Linearization& at)
        : ForwardWorkspace<Scalar>(at.make_forward_workspace()),
          outputs_(at.network_,
                   [&](Index, const Layer<Scalar>& layer) {
                     return std::pair{at.blocks_.block_rows(), layer.output_size()};
                   }),
          inputs_(at.network_,
                  [&](Index j, const Layer<Scalar>& layer) {
                    return std::pair{at.reads_nodes(j) && !at.is_only(j) ? at.blocks_.block_rows() : 0,
                                     layer.input_size()};
                  }),
          scratch_(at.blocks_.block_rows(), at.largest_scratch()) {}

    // Of the last node: the result of jvp, and memory for the cotangent that vjp starts from.
    Panel<Scalar> phi(Index rows) { return outputs_.last(rows); }

   private:
    friend class Linearization;
    NodeMatrices<Scalar> outputs_;  // (co)tangents of each node's output
    NodeMatrices<Scalar> inputs_;   // of what a node reads, where that is not just one output that no other node reads
    PaddedMatrix<Scalar> scratch_;  // of the layer that works
  };

  // The network on one block of rows, in a workspace that serves no other block meanwhile.
  class Block {
   public:
    // dphi = J dtheta; it is in the workspace
    Panel<Scalar> jvp(const Scalar* dpacked  // (packed_size,)
    ) const {
      const Network<Scalar>& network = at_.network_;
      for (Index j = 0; j < network.num_nodes(); ++j) {
        if (!network.leads_to_output(j)) continue;
        network.layer(j).jvp(layer_block(j), dpacked + network.packed_offset(j), input_tangent(j),
                             workspace_.outputs_.panel(j, {0, rows_.size()}));
      }
      return workspace_.phi(rows_.size());
    }

    // packed_bar += J^T phi_bar; phi_bar is overwritten, and may be the workspace's phi
    void vjp(Panel<Scalar> phi_bar,  // (B, K)
             Scalar* packed_bar      // (packed_size,)
    ) const {
      vjp(phi_bar, packed_bar, [](Index, ConstPanel<Scalar>, ConstPanel<Scalar>) {});
    }

    // The same; observe(j, x, y_bar) is called with each node's input, and with y_bar as its layer's vjp left it.
    template <class Observer>
    void vjp(Panel<Scalar> phi_bar,  // (B, K)
             Scalar* packed_bar,     // (packed_size,)
             Observer&& observe) const {
      const Network<Scalar>& network = at_.network_;
      const Index last = network.num_nodes() - 1;
      for (Index j = last; j >= 0; --j) {
        if (!network.leads_to_output(j)) continue;
        const LayerBlock<Scalar> block = layer_block(j);
        const Panel<Scalar> y_bar = j == last ? phi_bar : workspace_.outputs_.panel(j, {0, rows_.size()});
        network.layer(j).vjp(block, y_bar, input_cotangent(j), packed_bar + network.packed_offset(j));
        add_to_outputs(j);
        observe(j, block.x, view(y_bar));
      }
    }

   private:
    friend class Linearization;
    Block(const Linearization& at, Rows rows, Workspace& workspace) : at_(at), rows_(rows), workspace_(workspace) {}

    LayerBlock<Scalar> layer_block(Index j) const {
      const Index columns_of_layer = at_.network_.layer(j).scratch_size();
      return at_.layer_block(j, rows_, workspace_,
                             columns(workspace_.scratch_.panel(0, rows_.size()), 0, columns_of_layer));
    }

    // The tangent of the network's inputs is 0.
    ConstPanel<Scalar> input_tangent(Index j) const {
      const std::vector<NodeInput>& inputs = at_.network_.inputs(j);
      if (!at_.reads_nodes(j)) return view(no_data(j));
      if (inputs.size() == 1) return view(output(inputs.front()));
      const Panel<Scalar> dx = workspace_.inputs_.panel(j, {0, rows_.size()});
      for (const NodeInput& input : inputs) {
        Panel<Scalar> part = columns(dx, input.first_column, input.size);
        if (is_node(input)) {
          part = output(input);
        } else {
          part.setZero();
        }
      }
      return view(dx);
    }

    // Where the layer's vjp writes x_bar. The cotangent of the network's inputs is not needed.
    Panel<Scalar> input_cotangent(Index j) const {
      if (!at_.reads_nodes(j)) return no_data(j);
      return at_.is_only(j) ? output(at_.network_.inputs(j).front()) : workspace_.inputs_.panel(j, {0, rows_.size()});
    }

    // Of the nodes that read an output, the last writes its cotangent and earlier ones add to it.
    void add_to_outputs(Index j) const {
      if (!at_.reads_nodes(j) || at_.is_only(j)) return;
      const Panel<Scalar> x_bar = workspace_.inputs_.panel(j, {0, rows_.size()});
      for (const NodeInput& input : at_.network_.inputs(j)) {
        if (!is_node(input)) continue;
        const Panel<Scalar> part = columns(x_bar, input.first_column, input.size);
        if (input.is_last_reader) {
          output(input) = part;
        } else {
          output(input) += part;
        }
      }
    }

    bool is_node(const NodeInput& input) const { return at_.network_.node_of(input.buffer) >= 0; }
    Panel<Scalar> output(const NodeInput& input) const {
      return workspace_.outputs_.panel(at_.network_.node_of(input.buffer), {0, rows_.size()});
    }
    Panel<Scalar> no_data(Index j) const {
      return {nullptr, rows_.size(), at_.network_.layer(j).input_size(), Eigen::OuterStride<>(0)};
    }

    const Linearization& at_;
    Rows rows_;
    Workspace& workspace_;
  };

  // All outputs are stored.
  Linearization(const Network<Scalar>& network, const RowBlocks& blocks, std::vector<Images> images = {})
      : Linearization(network, blocks, std::move(images), nullptr, {}, true) {}

  Linearization(const Network<Scalar>& network,
                const Scalar* theta,           // (P,)
                const Inputs<Scalar>& inputs,  // N rows
                int n_threads)
      : Linearization(network, inputs.blocks, inputs.images, inputs.owner, inputs.sequences,
                      stored_bytes(network, inputs.x.rows()) <= inputs.activation_budget) {
    network.pack(theta, packed_.data());
    pack_reverse();
    std::vector<ForwardWorkspace<Scalar>> workspaces(static_cast<std::size_t>(n_threads), make_forward_workspace());
    for_each_slot(blocks_, 0, blocks_.num_slots(), n_threads, [&](Index /*slot*/, Rows slot_rows, int thread) {
      blocks_.for_each_block(slot_rows, [&](Rows rows) {
        input(rows) = block(inputs.x, rows);
        forward(rows, workspaces[static_cast<std::size_t>(thread)]);
      });
    });
  }

  // For a caller that changes parameters or inputs in place and then calls pack_reverse() and forward().
  Vector<Scalar>& packed() { return packed_; }                                  // (packed_size,)
  Panel<Scalar> input(Rows rows) { return x_.panel(rows.begin, rows.size()); }  // (B, input_size)
  void pack_reverse() { network_.pack_reverse(packed_.data(), reverse_.data()); }
  Block forward(Rows rows, Workspace& workspace) {
    forward(rows, static_cast<ForwardWorkspace<Scalar>&>(workspace));
    return {*this, rows, workspace};
  }

  // Up to block_rows rows, which are a block if there are sequences, for jvp and vjp
  Block load(Rows rows, Workspace& workspace) const {
    compute(rows, workspace, [&](Index j) { return !is_stored(j); });
    return {*this, rows, workspace};
  }

  const Network<Scalar>& network() const { return network_; }
  const RowBlocks& blocks() const { return blocks_; }
  Index num_rows() const { return blocks_.num_rows(); }
  // Rows that are not padding, over which means are taken
  Index num_counted() const { return num_rows() - sequences_.num_padding; }
  // f(Rows) for runs of them
  template <class Function>
  void for_each_counted(Rows rows, Function&& f) const {
    if (sequences_.num_padding == 0) return f(rows);
    for (Index begin = rows.begin; begin < rows.end; ++begin) {
      Index end = begin;
      while (end < rows.end && !sequences_.is_padding(end)) ++end;
      if (end > begin) f(Rows{begin, end});
      begin = end;
    }
  }
  // Padding has no cotangent.
  void clear_padding(Rows rows, Panel<Scalar> phi_bar) const {
    if (sequences_.num_padding == 0) return;
    for (Index i = 0; i < rows.size(); ++i) {
      if (sequences_.is_padding(rows.begin + i)) phi_bar.row(i).setZero();
    }
  }
  bool stores_all() const { return stores_all_; }           // or phi alone
  const Vector<Scalar>& packed() const { return packed_; }  // (packed_size,)
  // What the network reads on a block of rows
  InputBlock<Scalar> inputs(Rows rows) const {
    return {x_.panel(rows.begin, rows.size()), images_.data(), rows.begin, sequences_.block(rows.begin, rows.size())};
  }
  // phi = f(theta, X), (B, K)
  ConstPanel<Scalar> output(Rows rows) const { return outputs_.panel(network_.num_nodes() - 1, rows); }

 private:
  Linearization(const Network<Scalar>& network, const RowBlocks& blocks, std::vector<Images> images,
                std::shared_ptr<const void> owner, const Sequences<Scalar>& sequences, bool stores_all)
      : network_(network),
        blocks_(blocks),
        stores_all_(stores_all),
        packed_(Vector<Scalar>::Zero(network.packed_size())),
        reverse_(Vector<Scalar>::Zero(network.reverse_size())),
        x_(blocks.num_rows(), network.input_size()),
        images_(std::move(images)),
        owner_(std::move(owner)),
        sequences_(sequences),
        outputs_(network,
                 [&](Index j, const Layer<Scalar>& layer) {
                   return std::pair{is_stored(j) ? num_rows() : 0, layer.output_size()};
                 }),
        caches_(network, [&](Index j, const Layer<Scalar>& layer) {
          return std::pair{is_stored(j) ? num_rows() : 0, layer.cache_size()};
        }) {}

  static std::size_t stored_bytes(const Network<Scalar>& network, Index num_rows) {
    Index columns = 0;
    for (Index j = 0; j < network.num_nodes(); ++j) {
      const Layer<Scalar>& layer = network.layer(j);
      if (network.leads_to_output(j))
        columns += padded<Scalar>(layer.output_size()) + padded<Scalar>(layer.cache_size());
    }
    return static_cast<std::size_t>(columns) * static_cast<std::size_t>(num_rows) * sizeof(Scalar);
  }

  Index largest_scratch() const {
    Index size = 0;
    for (Index j = 0; j < network_.num_nodes(); ++j) size = (std::max)(size, network_.layer(j).scratch_size());
    return size;
  }

  bool is_stored(Index j) const { return stores_all_ || j == network_.num_nodes() - 1; }
  bool reads_nodes(Index j) const {
    const std::vector<NodeInput>& inputs = network_.inputs(j);
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const NodeInput& input) { return network_.node_of(input.buffer) >= 0; });
  }
  // Whether node j reads one buffer, which no later node reads
  bool is_only(Index j) const { return network_.inputs(j).size() == 1 && network_.inputs(j).front().is_last_reader; }

  ForwardWorkspace<Scalar> make_forward_workspace() const {
    return {network_, blocks_.block_rows(), [&](Index j) { return !is_stored(j); }};
  }

  // Forward passes of the nodes with is_computed(j), and what all nodes read
  template <class IsComputed>
  void compute(Rows rows, ForwardWorkspace<Scalar>& workspace, IsComputed&& is_computed) const {
    const InputBlock<Scalar> block_inputs = inputs(rows);
    workspace.gather(block_inputs);
    for (Index j = 0; j < network_.num_nodes(); ++j) {
      if (!network_.leads_to_output(j)) continue;
      workspace.join(j, block_inputs, [&](Index i) { return view(node_output(i, rows, workspace)); });
      if (!is_computed(j)) continue;
      LayerBlock<Scalar> at = layer_block(j, rows, workspace, {nullptr, 0, 0, Eigen::OuterStride<>(0)});
      network_.layer(j).forward(at);
    }
  }

  void forward(Rows rows, ForwardWorkspace<Scalar>& workspace) {
    compute(rows, workspace, [](Index) { return true; });
    network_.mask(inputs(rows).x, outputs_.panel(network_.num_nodes() - 1, rows));
  }

  // Stored matrices are written in forward() alone.
  Panel<Scalar> node_output(Index j, Rows rows, ForwardWorkspace<Scalar>& workspace) const {
    return is_stored(j) ? const_cast<NodeMatrices<Scalar>&>(outputs_).panel(j, rows) : workspace.output(j, rows.size());
  }
  Panel<Scalar> node_cache(Index j, Rows rows, ForwardWorkspace<Scalar>& workspace) const {
    return is_stored(j) ? const_cast<NodeMatrices<Scalar>&>(caches_).panel(j, rows) : workspace.cache(j, rows.size());
  }

  LayerBlock<Scalar> layer_block(Index j, Rows rows, ForwardWorkspace<Scalar>& workspace, Panel<Scalar> scratch) const {
    const auto output = [&](Index i) { return view(node_output(i, rows, workspace)); };
    const InputBlock<Scalar> block_inputs = inputs(rows);
    return {packed_.data() + network_.packed_offset(j),
            reverse_.data() + network_.reverse_offset(j),
            workspace.input(j, block_inputs, output),
            node_output(j, rows, workspace),
            node_cache(j, rows, workspace),
            block_inputs.sequence.of_state(network_.state_offset(j)),
            scratch};
  }

  const Network<Scalar>& network_;
  RowBlocks blocks_;
  bool stores_all_;
  Vector<Scalar> packed_;
  Vector<Scalar> reverse_;
  PaddedMatrix<Scalar> x_;
  std::vector<Images> images_;
  std::shared_ptr<const void> owner_;  // of what images and sequences view
  Sequences<Scalar> sequences_;
  NodeMatrices<Scalar> outputs_;  // each stored node's output, (N, n_j)
  NodeMatrices<Scalar> caches_;   // what its layer stores as well, (N, c_j)
};

}  // namespace trpo_fast
