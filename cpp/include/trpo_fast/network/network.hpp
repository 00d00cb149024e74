// Network: layers over one flat theta, as a list of nodes. Const; parameters are an argument.
//
// Buffer 0 is the vector input x, buffers 1..k are the image inputs, and buffer 1 + k + j is the output of node j. Each
// node reads an earlier buffer, or several of them side by side; in a chain, node j reads buffer j. The last node's
// output is the network's. Nodes that do not lead to it are skipped; theta still contains their parameters.
//
// After its features, a row x of a masked network has one column per output; a 0 there makes that output -Inf, for
// every theta. (A logit of -Inf is an impossible choice: categorical.hpp.)
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../images.hpp"
#include "../padded_matrix.hpp"
#include "layer.hpp"

namespace trpo_fast {

// A layer and the numbers of the buffers that it reads.
template <class Scalar>
struct Node {
  std::shared_ptr<const Layer<Scalar>> layer;
  std::vector<Index> buffers;
};

// A buffer that a node reads, and the columns of the node's input that come from it.
struct NodeInput {
  Index buffer;
  Index first_column;
  Index size;
  bool is_last_reader;  // no later node that leads to the output reads it
};

template <class Scalar>
class Network {
 public:
  explicit Network(const std::vector<Node<Scalar>>& nodes, bool is_masked = false, std::vector<ImageInput> images = {})
      : images_(std::move(images)), is_masked_(is_masked) {
    if (nodes.empty()) throw std::invalid_argument("layers: expected at least one layer, got none");
    for (const Node<Scalar>& node : nodes) {
      layers_.push_back(node.layer);
      inputs_.push_back(checked_inputs(node));
      append_packed_order(*node.layer);
      reverse_offsets_.push_back(reverse_size_);
      reverse_size_ += padded<Scalar>(node.layer->reverse_size());
      state_offsets_.push_back(state_size_);
      state_size_ += node.layer->state_size();
    }
    find_readers();
  }

  // A chain
  explicit Network(const std::vector<std::shared_ptr<const Layer<Scalar>>>& layers, bool is_masked = false)
      : Network(chain(layers), is_masked) {}

  Index vector_size() const { return (std::max)(vector_size_, Index(0)); }  // 0: no node reads the vector input
  Index input_size() const { return vector_size() + (is_masked_ ? output_size() : 0); }  // with the mask
  const std::vector<ImageInput>& images() const { return images_; }
  Index output_size() const { return layers_.back()->output_size(); }
  Index num_params() const { return static_cast<Index>(packed_order_.size()); }  // P

  Index num_nodes() const { return static_cast<Index>(layers_.size()); }
  const Layer<Scalar>& layer(Index j) const { return *layers_[at(j)]; }
  const std::vector<NodeInput>& inputs(Index j) const { return inputs_[at(j)]; }  // what node j reads, side by side
  bool leads_to_output(Index j) const { return leads_to_output_[at(num_inputs() + j)]; }
  bool reads_image(Index i) const { return leads_to_output_[at(1 + i)]; }

  // Numbers that a row passes to the next one of its lane, and where a node's begin among them
  Index state_size() const { return state_size_; }
  Index state_offset(Index j) const { return state_offsets_[at(j)]; }

  // The node whose output a buffer is; negative for an input of the network.
  Index node_of(Index buffer) const { return buffer - num_inputs(); }

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
    for (const auto& layer : layers) nodes.push_back({layer, {static_cast<Index>(nodes.size())}});
    return nodes;
  }

  Index num_inputs() const { return 1 + static_cast<Index>(images_.size()); }

  // Columns of a buffer; -1 for the vector input before a node has read it.
  Index buffer_size(Index buffer) const {
    if (buffer == 0) return vector_size_;
    if (buffer < num_inputs()) return images_[at(buffer - 1)].size();
    return layer(node_of(buffer)).output_size();
  }

  // What the next node reads. The first node that reads the vector input decides its size.
  std::vector<NodeInput> checked_inputs(const Node<Scalar>& node) {
    const Index j = static_cast<Index>(inputs_.size()), size = node.layer->input_size();
    if (node.buffers.empty()) {
      throw std::invalid_argument("layers: expected layer " + std::to_string(j) + " to read a buffer, got none");
    }
    Index expected = 0;
    bool decides = false;
    for (auto buffer = node.buffers.begin(); buffer != node.buffers.end(); ++buffer) {
      const Index last = num_inputs() + j - 1;
      if (*buffer < 0 || *buffer > last) {
        throw std::invalid_argument("layers: expected layer " + std::to_string(j) + " to read a buffer in 0.." +
                                    std::to_string(last) + ", got " + std::to_string(*buffer));
      }
      if (std::find(node.buffers.begin(), buffer, *buffer) != buffer) {
        throw std::invalid_argument("layers: expected layer " + std::to_string(j) + " to read buffer " +
                                    std::to_string(*buffer) + " once, got it twice");
      }
      if (*buffer == 0 && vector_size_ < 0) {
        decides = true;
      } else {
        expected += buffer_size(*buffer);
      }
    }
    if (decides) expected += vector_size_ = (std::max)(size - expected, Index(1));
    if (size != expected) {
      throw std::invalid_argument("layers: expected a layer with input size " + std::to_string(expected) +
                                  (decides ? " or more, got " : ", got ") + std::to_string(size));
    }
    std::vector<NodeInput> inputs;
    Index column = 0;
    for (const Index buffer : node.buffers) {
      inputs.push_back({buffer, column, buffer_size(buffer), false});
      column += buffer_size(buffer);
    }
    return inputs;
  }

  void find_readers() {
    leads_to_output_.assign(at(num_inputs() + num_nodes()), false);
    leads_to_output_.back() = true;
    for (Index j = num_nodes() - 1; j >= 0; --j) {
      if (!leads_to_output(j)) continue;
      for (NodeInput& input : inputs_[at(j)]) {
        input.is_last_reader = !leads_to_output_[at(input.buffer)];
        leads_to_output_[at(input.buffer)] = true;
      }
    }
  }

  void append_packed_order(const Layer<Scalar>& layer) {
    const Index size = packed_size_ + padded<Scalar>(layer.packed_size());
    if (size > (std::numeric_limits<std::int32_t>::max)()) throw std::bad_alloc();  // places are 32-bit numbers
    const std::size_t begin = packed_order_.size();
    packed_order_.resize(begin + static_cast<std::size_t>(layer.num_params()));
    layer.packed_order(packed_order_.data() + begin);
    const auto offset = static_cast<std::int32_t>(packed_size_);
    std::for_each(packed_order_.begin() + static_cast<std::ptrdiff_t>(begin), packed_order_.end(),
                  [&](std::int32_t& to) { to += offset; });
    packed_offsets_.push_back(packed_size_);
    packed_size_ = size;
  }

  std::vector<std::shared_ptr<const Layer<Scalar>>> layers_;  // of the nodes
  std::vector<std::vector<NodeInput>> inputs_;                // of the nodes
  std::vector<ImageInput> images_;
  bool is_masked_;
  Index vector_size_ = -1;                  // -1: no node has read the vector input yet
  std::vector<bool> leads_to_output_;       // of the buffers
  std::vector<std::int32_t> packed_order_;  // for each parameter of theta, its place in the packed order
  std::vector<Index> packed_offsets_;
  std::vector<Index> reverse_offsets_;
  std::vector<Index> state_offsets_;
  Index packed_size_ = 0;
  Index reverse_size_ = 0;
  Index state_size_ = 0;
};

}  // namespace trpo_fast
