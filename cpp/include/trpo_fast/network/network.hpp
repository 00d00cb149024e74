// Network: layers over one flat theta. Const; parameters are an argument.
//
// A masked network's rows of x have a column more for each output: 0 there makes that output -Inf, for any theta. (A
// logit of -Inf is an impossible choice: categorical.hpp.)
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

template <class Scalar>
class Network {
 public:
  explicit Network(std::vector<std::shared_ptr<const Layer<Scalar>>> layers, bool is_masked = false)
      : layers_(std::move(layers)), is_masked_(is_masked) {
    if (layers_.empty()) throw std::invalid_argument("layers: expected at least one layer, got none");
    Index output_size = layers_.front()->input_size();
    for (const auto& layer : layers_) {
      if (layer->input_size() != output_size) {
        throw std::invalid_argument("layers: expected a layer with input size " + std::to_string(output_size) +
                                    ", got " + std::to_string(layer->input_size()));
      }
      output_size = layer->output_size();
      append_packed_order(*layer);
      reverse_offsets_.push_back(reverse_size_);
      reverse_size_ += padded<Scalar>(layer->reverse_size());
    }
  }

  Index input_size() const { return layers_.front()->input_size() + (is_masked_ ? output_size() : 0); }
  Index output_size() const { return layers_.back()->output_size(); }
  Index num_params() const { return static_cast<Index>(packed_order_.size()); }  // P
  Index num_layers() const { return static_cast<Index>(layers_.size()); }
  const Layer<Scalar>& layer(Index l) const { return *layers_[static_cast<std::size_t>(l)]; }

  // What a masked network does to its output.
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

  // Sizes of the two forms of theta that the layers read (layer.hpp), and where a layer's segments begin.
  Index packed_size() const { return packed_size_; }
  Index reverse_size() const { return reverse_size_; }
  Index packed_offset(Index l) const { return packed_offsets_[static_cast<std::size_t>(l)]; }
  Index reverse_offset(Index l) const { return reverse_offsets_[static_cast<std::size_t>(l)]; }

  // theta to packed; padding is left alone: 0
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
    for (Index l = 0; l < num_layers(); ++l)
      layer(l).pack_reverse(packed + packed_offset(l), reverse + reverse_offset(l));
  }

 private:
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

  std::vector<std::shared_ptr<const Layer<Scalar>>> layers_;
  bool is_masked_;
  std::vector<std::int32_t> packed_order_;  // of each parameter of theta, its place in the packed order
  std::vector<Index> packed_offsets_;
  std::vector<Index> reverse_offsets_;
  Index packed_size_ = 0;
  Index reverse_size_ = 0;
};

}  // namespace trpo_fast
