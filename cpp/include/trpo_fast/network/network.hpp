// Network: layers over one flat theta. Const; theta is an argument.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "layer.hpp"

namespace trpo_fast {

template <class Scalar>
class Network {
 public:
  explicit Network(std::vector<std::shared_ptr<const Layer<Scalar>>> layers) : layers_(std::move(layers)) {
    if (layers_.empty()) throw std::invalid_argument("layers: expected at least one layer, got none");
    sizes_.push_back(layers_.front()->input_size());
    for (const auto& layer : layers_) {
      if (layer->input_size() != output_size()) {
        throw std::invalid_argument("layers: expected a layer with input size " + std::to_string(output_size()) +
                                    ", got " + std::to_string(layer->input_size()));
      }
      offsets_.push_back(num_params_);
      num_params_ += layer->num_params();
      sizes_.push_back(layer->output_size());
    }
  }

  Index input_size() const { return sizes_.front(); }
  Index output_size() const { return sizes_.back(); }
  Index num_params() const { return num_params_; }
  Index num_layers() const { return static_cast<Index>(layers_.size()); }
  const Layer<Scalar>& layer(Index l) const { return *layers_[static_cast<std::size_t>(l)]; }

  // The segment of a flat parameter vector that belongs to layer l.
  ConstVectorView<Scalar> segment(const Scalar* theta, Index l) const {
    return {theta + offsets_[static_cast<std::size_t>(l)], layer(l).num_params()};
  }
  VectorView<Scalar> segment(Scalar* theta, Index l) const {
    return {theta + offsets_[static_cast<std::size_t>(l)], layer(l).num_params()};
  }

  // The widest matrix that passes between two layers.
  Index max_width() const { return *std::max_element(sizes_.begin(), sizes_.end()); }
  Index max_cache_size() const {
    Index most = 0;
    for (const auto& layer : layers_) most = std::max(most, layer->cache_size());
    return most;
  }

 private:
  std::vector<std::shared_ptr<const Layer<Scalar>>> layers_;
  std::vector<Index> sizes_;    // input size, then each layer's output size
  std::vector<Index> offsets_;  // of each layer's parameters in theta
  Index num_params_ = 0;
};

}  // namespace trpo_fast
