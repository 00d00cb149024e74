// ForwardWorkspace: scratch of one thread for a forward pass on one block of rows: what nodes read that is no buffer of
// the caller, and what they compute.
//
// A node that reads one buffer reads it where it is. Several buffers are copied side by side: if they were written
// there in the first place, the padding of one would overwrite the first columns of the next.
#pragma once

#include <utility>
#include <vector>

#include "../padded_matrix.hpp"
#include "inputs.hpp"
#include "network.hpp"

namespace trpo_fast {

// A matrix for each node of a network
template <class Scalar>
class NodeMatrices {
 public:
  // shape(j, layer): rows and columns for each node that leads to the output. The others have no rows.
  template <class Shape>
  NodeMatrices(const Network<Scalar>& network, Shape&& shape) {
    for (Index j = 0; j < network.num_nodes(); ++j) {
      const auto [rows, cols] = shape(j, network.layer(j));
      matrices_.emplace_back(network.leads_to_output(j) ? rows : 0, cols);
    }
  }

  Panel<Scalar> panel(Index j, Rows rows) {
    return matrices_[static_cast<std::size_t>(j)].panel(rows.begin, rows.size());
  }
  ConstPanel<Scalar> panel(Index j, Rows rows) const {
    return matrices_[static_cast<std::size_t>(j)].panel(rows.begin, rows.size());
  }
  Panel<Scalar> last(Index rows) { return matrices_.back().panel(0, rows); }

 private:
  std::vector<PaddedMatrix<Scalar>> matrices_;
};

template <class Scalar>
class ForwardWorkspace {
 public:
  // computed(j): whether the output of node j is computed in the workspace
  template <class Computed>
  ForwardWorkspace(const Network<Scalar>& network, Index max_rows, Computed&& computed)
      : network_(network),
        joined_(network,
                [&](Index j, const Layer<Scalar>& layer) {
                  return std::pair{network.inputs(j).size() > 1 ? max_rows : 0, layer.input_size()};
                }),
        outputs_(network,
                 [&](Index j, const Layer<Scalar>& layer) {
                   return std::pair{computed(j) ? max_rows : 0, layer.output_size()};
                 }),
        caches_(network, [&](Index j, const Layer<Scalar>& layer) {
          return std::pair{computed(j) ? max_rows : 0, layer.cache_size()};
        }) {
    for (Index i = 0; i < static_cast<Index>(network.images().size()); ++i) {
      images_.emplace_back(network.reads_image(i) ? max_rows : 0, network.images()[at(i)].size());
    }
  }

  Panel<Scalar> output(Index j, Index rows) { return outputs_.panel(j, {0, rows}); }
  Panel<Scalar> cache(Index j, Index rows) { return caches_.panel(j, {0, rows}); }

  // Converts the images of a block to floats.
  void gather(const InputBlock<Scalar>& inputs) {
    for (std::size_t i = 0; i < images_.size(); ++i) {
      if (!network_.reads_image(static_cast<Index>(i))) continue;
      Panel<Scalar> to = images_[i].panel(0, inputs.x.rows());
      gather_rows(inputs.images[i], inputs.first_row, to.rows(), static_cast<Scalar>(network_.images()[i].scale),
                  to.data(), to.outerStride());
    }
  }

  // Copies side by side what node j reads, if that is several buffers. output(i): the output of node i
  template <class Output>
  void join(Index j, const InputBlock<Scalar>& inputs, Output&& output) {
    if (network_.inputs(j).size() == 1) return;
    const Panel<Scalar> to = joined_.panel(j, {0, inputs.x.rows()});
    for (const NodeInput& part : network_.inputs(j)) {
      columns(to, part.first_column, part.size) = buffer(part.buffer, inputs, output);
    }
  }

  // What node j reads, after join()
  template <class Output>
  ConstPanel<Scalar> input(Index j, const InputBlock<Scalar>& inputs, Output&& output) {
    if (network_.inputs(j).size() > 1) return view(joined_.panel(j, {0, inputs.x.rows()}));
    return buffer(network_.inputs(j).front().buffer, inputs, output);
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  template <class Output>
  ConstPanel<Scalar> buffer(Index number, const InputBlock<Scalar>& inputs, Output&& output) {
    if (network_.node_of(number) >= 0) return output(network_.node_of(number));
    if (number == 0) return columns(inputs.x, 0, network_.vector_size());
    return view(images_[at(number - 1)].panel(0, inputs.x.rows()));
  }

  const Network<Scalar>& network_;
  std::vector<PaddedMatrix<Scalar>> images_;  // as floats, (max_rows, height * width * channels)
  NodeMatrices<Scalar> joined_;               // what a node reads, if that is several buffers, (max_rows, m_j)
  NodeMatrices<Scalar> outputs_;              // each node's output, (max_rows, n_j)
  NodeMatrices<Scalar> caches_;               // what its layer stores as well, (max_rows, c_j)
};

}  // namespace trpo_fast
