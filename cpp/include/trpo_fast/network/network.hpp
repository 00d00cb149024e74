// Network: layers over one flat theta, as a list of nodes. Const; parameters are an argument.
//
// Buffer 0 is the network's input x, and buffer 1 + j the output of node j. Each node reads one earlier buffer; in a
// chain, node j reads buffer j. The last node's output is the network's. Nodes that do not lead to it are
// skipped; theta still contains their parameters.
//
// After its features, a row x of a masked network has one column per output; a 0 there makes that output -Inf, for
// every theta. (A logit of -Inf is an impossible choice: categorical.hpp.)
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../padded_matrix.hpp"
#include "layer.hpp"

namespace trpo_fast {

// A layer and the number of the buffer that it reads.
template <class Scalar>
struct Node {
  std::shared_ptr<const Layer<Scalar>> layer;
  Index input;
};

template <class Scalar>
class Network {
 public:
  explicit Network(std::vector<Node<Scalar>> nodes, bool is_masked = false)
      : nodes_(std::move(nodes)), is_masked_(is_masked), leads_to_output_(nodes_.size(), false) {
    if (nodes_.empty()) throw std::invalid_argument("layers: expected at least one layer, got none");
    for (Index j = 0; j < num_nodes(); ++j) {
      check_input(j);
      append_packed_order(layer(j));
      reverse_offsets_.push_back(reverse_size_);
      reverse_size_ += padded<Scalar>(layer(j).reverse_size());
    }
    for (Index buffer = num_nodes(); buffer > 0; buffer = input(buffer - 1)) leads_to_output_[at(buffer - 1)] = true;
  }

  // A chain
  explicit Network(const std::vector<std::shared_ptr<const Layer<Scalar>>>& layers, bool is_masked = false)
      : Network(chain(layers), is_masked) {}

  Index input_size() const { return layer(0).input_size() + (is_masked_ ? output_size() : 0); }
  Index output_size() const { return nodes_.back().layer->output_size(); }
  Index num_params() const { return static_cast<Index>(packed_order_.size()); }  // P

  Index num_nodes() const { return static_cast<Index>(nodes_.size()); }
  const Layer<Scalar>& layer(Index j) const { return *nodes_[at(j)].layer; }
  Index input(Index j) const { return nodes_[at(j)].input; }  // the buffer that node j reads
  bool leads_to_output(Index j) const { return leads_to_output_[at(j)]; }

  // Applies the mask, if the network is masked.
  void mask(ConstPanel<Scalar> x,  // (B, input_size)
            Panel<Scalar> phi      // (B, output_size)
  ) const {
    if (!is_masked_) return;
    const ConstPanel<Scalar> is_possible = columns(x, x.cols() - output_size(), output_size());
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index k = 0; k < phi.cols(); ++k) {
        if (is_possible(n, k) == Scalar(0)) phi(n, k) = -std::numeric_limits<Scalar>::infinity();
      }
    }
  }

  // Sizes of the two forms of theta that layers read, packed and reverse (layer.hpp), and where a node's segment begins
  // in each.
  Index packed_size() const { return packed_size_; }
  Index reverse_size() const { return reverse_size_; }
  Index packed_offset(Index j) const { return packed_offsets_[at(j)]; }
  Index reverse_offset(Index j) const { return reverse_offsets_[at(j)]; }

  // theta to packed; padding is not written and must be 0
  template <class Source>
  void pack(const Source* theta,  // (P,)
            Scalar* packed        // (packed_size,)
  ) const {
    for (const std::int32_t to : packed_order_) packed[to] = static_cast<Scalar>(*theta++);
  }

  // packed to theta
  template <class Source, class Target>
  void unpack(const Source* packed,  // (packed_size,)
              Target* theta          // (P,)
  ) const {
    for (const std::int32_t from : packed_order_) *theta++ = static_cast<Target>(packed[from]);
  }

  // packed to reverse
  void pack_reverse(const Scalar* packed,  // (packed_size,)
                    Scalar* reverse        // (reverse_size,)
  ) const {
    for (Index j = 0; j < num_nodes(); ++j)
      layer(j).pack_reverse(packed + packed_offset(j), reverse + reverse_offset(j));
  }

 private:
  static std::size_t at(Index j) { return static_cast<std::size_t>(j); }

  static std::vector<Node<Scalar>> chain(const std::vector<std::shared_ptr<const Layer<Scalar>>>& layers) {
    std::vector<Node<Scalar>> nodes;
    for (const auto& layer : layers) nodes.push_back({layer, static_cast<Index>(nodes.size())});
    return nodes;
  }

  void check_input(Index j) const {
    if (input(j) < 0 || input(j) > j) {
      throw std::invalid_argument("layers: expected layer " + std::to_string(j) + " to read a buffer in 0.." +
                                  std::to_string(j) + ", got " + std::to_string(input(j)));
    }
    const Index size = input(j) == 0 ? layer(0).input_size() : layer(input(j) - 1).output_size();
    if (layer(j).input_size() != size) {
      throw std::invalid_argument("layers: expected a layer with input size " + std::to_string(size) + ", got " +
                                  std::to_string(layer(j).input_size()));
    }
  }

  void append_packed_order(const Layer<Scalar>& layer) {
    const std::size_t begin = packed_order_.size();
    packed_order_.resize(begin + static_cast<std::size_t>(layer.num_params()));
    layer.packed_order(packed_order_.data() + begin);
    const auto offset = static_cast<std::int32_t>(packed_size_);
    std::for_each(packed_order_.begin() + static_cast<std::ptrdiff_t>(begin), packed_order_.end(),
                  [&](std::int32_t& to) { to += offset; });
    packed_offsets_.push_back(packed_size_);
    packed_size_ += padded<Scalar>(layer.packed_size());
  }

  std::vector<Node<Scalar>> nodes_;
  bool is_masked_;
  std::vector<bool> leads_to_output_;
  std::vector<std::int32_t> packed_order_;  // for each parameter of theta, its place in the packed order
  std::vector<Index> packed_offsets_;
  std::vector<Index> reverse_offsets_;
  Index packed_size_ = 0;
  Index reverse_size_ = 0;
};

}  // namespace trpo_fast
