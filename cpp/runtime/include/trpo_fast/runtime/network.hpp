// The network of a policy, ready to act: steps from buffer to buffer, in memory that it has from the start.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "activation.hpp"
#include "aligned.hpp"
#include "conv2d.hpp"
#include "dense.hpp"
#include "image.hpp"
#include "network_form.hpp"

namespace trpo_fast::runtime {

class Network {
 public:
  explicit Network(const NetworkForm& form);

  int num_images() const { return static_cast<int>(images_.size()); }
  const ImageSize& image_size(int i) const { return images_[static_cast<std::size_t>(i)].size; }

  // Where the vector's inputs go: (padded(num_features)), zeros behind.
  float* inputs() { return values_.data(); }

  // Whether there are as many images as the network has, of their sizes.
  bool are_images(const ImageView* images, std::size_t num_images) const {
    if (num_images != images_.size()) return false;
    for (std::size_t i = 0; i < num_images; ++i) {
      if (!detail::is_image(images[i], images_[i].size)) return false;
    }
    return true;
  }

  // The outputs for inputs() and images, whose pixels are read.
  float* forward(const ImageView* images) {
    for (const Image& image : images_) detail::to_inputs(*images++, image.scale, values_.data() + image.to);
    for (const Step& step : steps_) take(step, values_.data() + step.from, values_.data() + step.to);
    return values_.data() + output_;
  }

 private:
  enum class Kind : std::uint8_t { dense, conv2d, flatten, border, copy };

  struct Step {
    Kind kind;
    Activation activation;
    std::ptrdiff_t from, to;      // in values_
    int num_inputs, num_outputs;  // of dense; of copy the number
    ConvSizes image;              // of conv2d with its border, and of flatten and border without
    int border;
    AlignedFloats parameters;
  };

  struct Image {
    ImageSize size;
    float scale;
    std::ptrdiff_t to;
  };

  static void take(const Step& step, const float* x, float* y);

  std::ptrdiff_t add_buffer(std::ptrdiff_t size) {
    return std::exchange(num_values_, num_values_ + (size + kPadding - 1) / kPadding * kPadding);
  }

  std::ptrdiff_t side_by_side(const NetworkForm& form, const NodeForm& node, const std::vector<std::ptrdiff_t>& buffers,
                              const std::vector<int>& sizes);
  void add(const NodeForm& node, std::ptrdiff_t from, std::ptrdiff_t to);

  std::vector<Image> images_;
  std::vector<Step> steps_;
  std::ptrdiff_t num_values_ = 0, output_ = 0;
  AlignedFloats values_;  // of all buffers; zeros where borders and padding are
};

inline void Network::take(const Step& step, const float* x, float* y) {
  const ConvSizes& image = step.image;
  switch (step.kind) {
    case Kind::dense:
      return with_activation(step.activation, [&](auto kind) {
        multiply<kind()>(step.parameters.data(), x, step.num_inputs, step.num_outputs, y);
      });
    case Kind::conv2d:
      convolve(step.parameters.data(), x, image, y);
      return with_activation(step.activation, [&](auto kind) { activate<kind()>(y, step.num_outputs); });
    case Kind::flatten:  // (height, width, channels) to (channels, height, width)
      for (int c = 0; c < image.channels; ++c) {
        const float* from = x + c;
        for (int i = 0; i < image.height * image.width; ++i, from += image.channels) *y++ = *from;
      }
      return;
    case Kind::border: {
      const std::ptrdiff_t row = std::ptrdiff_t{image.width} * image.channels;
      const std::ptrdiff_t left = std::ptrdiff_t{step.border} * image.channels;
      y += step.border * (row + 2 * left) + left;
      for (int i = 0; i < image.height; ++i, x += row, y += row + 2 * left) std::copy(x, x + row, y);
      return;
    }
    case Kind::copy:
      std::copy(x, x + step.num_inputs, y);
  }
}

inline Network::Network(const NetworkForm& form) {
  std::vector<std::ptrdiff_t> buffers{add_buffer(padded(form.num_features))};
  std::vector<int> sizes{form.num_features};
  for (const ImageForm& image : form.images) {
    const int size = image.size.channels * image.size.height * image.size.width;
    buffers.push_back(add_buffer(size));
    sizes.push_back(size);
    images_.push_back({image.size, image.scale, buffers.back()});
  }
  for (const NodeForm& node : form.nodes) {
    const std::ptrdiff_t from = side_by_side(form, node, buffers, sizes);
    sizes.push_back(node.num_outputs);
    if (node.kind == NodeKind::columns) {
      buffers.push_back(from + node.first);
    } else {
      buffers.push_back(add_buffer(node.num_outputs));
      add(node, from, buffers.back());
    }
  }
  output_ = buffers.back();
  values_.resize(static_cast<std::size_t>(num_values_));
}

// Where the buffers that a node reads lie side by side: several ones are copied.
inline std::ptrdiff_t Network::side_by_side(const NetworkForm& form, const NodeForm& node,
                                            const std::vector<std::ptrdiff_t>& buffers, const std::vector<int>& sizes) {
  const auto buffer = [&](std::size_t i) { return static_cast<std::size_t>(form.buffers[node.first_buffer + i]); };
  if (node.num_buffers == 1) return buffers[buffer(0)];
  const std::ptrdiff_t begin = add_buffer(node.num_inputs);
  std::ptrdiff_t to = begin;
  for (std::size_t i = 0; i < node.num_buffers; ++i) {
    const int size = sizes[buffer(i)];
    steps_.push_back({Kind::copy, Activation::identity, buffers[buffer(i)], to, size, size, {}, 0, {}});
    to += size;
  }
  return begin;
}

inline void Network::add(const NodeForm& node, std::ptrdiff_t from, std::ptrdiff_t to) {
  Step step{Kind::flatten, node.activation, from, to, node.num_inputs, node.num_outputs, node.image, 0, {}};
  if (node.kind == NodeKind::dense) {
    step.kind = Kind::dense;
    step.parameters.resize(static_cast<std::size_t>(num_parameters(node.num_inputs, node.num_outputs)));
    pack(*node.weight, *node.bias, node.num_inputs, node.num_outputs, step.parameters.data());
  } else if (node.kind == NodeKind::conv2d) {
    if (node.padding > 0) {
      ConvSizes inner = node.image;
      inner.height -= 2 * node.padding, inner.width -= 2 * node.padding;
      step.from = add_buffer(std::ptrdiff_t{node.image.height} * node.image.width * node.image.channels);
      steps_.push_back({Kind::border, Activation::identity, from, step.from, 0, 0, inner, node.padding, {}});
    }
    step.kind = Kind::conv2d;
    step.parameters.resize(static_cast<std::size_t>(num_parameters(node.image)));
    pack(*node.weight, *node.bias, node.image, step.parameters.data());
  }
  steps_.push_back(std::move(step));
}

}  // namespace trpo_fast::runtime
