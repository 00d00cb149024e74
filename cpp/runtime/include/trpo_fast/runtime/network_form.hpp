// The network in a policy file, read and checked: the images and layers of which acting needs to know.
//
// A plain one is a chain of dense layers, of which the file has the sizes alone. Any other is a table of nodes, which
// read buffers: 0 is the vector, then come the images, then the outputs of the nodes. A node reads several buffers side
// by side, as one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "activation.hpp"
#include "conv2d.hpp"
#include "dense.hpp"
#include "image.hpp"
#include "tensor_reader.hpp"

namespace trpo_fast::runtime {

enum class NodeKind : std::uint8_t { dense, conv2d, flatten, columns };

struct NodeForm {
  NodeKind kind;
  Activation activation;
  std::size_t first_buffer, num_buffers;  // of NetworkForm::buffers
  int num_inputs, num_outputs;
  ConvSizes image;  // of conv2d, with its border; of flatten its image
  int padding;      // of conv2d: the width of the border
  int first;        // of columns
  std::optional<Parameters> weight, bias;
};

struct ImageForm {
  ImageSize size;
  float scale;  // of pixels
};

// It is valid as long as the file's content is in memory.
struct NetworkForm {
  int num_features = 0;  // of the vector, without a mask
  std::vector<ImageForm> images;
  std::vector<NodeForm> nodes;
  std::vector<int> buffers;  // that nodes read

  int num_outputs() const { return nodes.back().num_outputs; }
};

namespace detail {

constexpr std::int64_t kMaxWidth = (std::int64_t{1} << 30) - 1;
constexpr std::uint64_t kMaxPadding = std::uint64_t{1} << 23;  // bytes of memory beyond as many as the file has
constexpr std::int64_t kMaxNodes = 1 << 12;
constexpr std::int64_t kMaxBuffers = 1 << 16;  // that nodes read
constexpr std::int64_t kMaxNames = 1 << 20;    // characters
constexpr std::int64_t kNodeColumns = 11;      // kind, activation, number of buffers, sizes

class NetworkReader : protected TensorReader {
 public:
  NetworkReader(const PolicyFile& file, NetworkForm& form, LoadProblem& problem)
      : TensorReader(file, problem), form_(form) {}

 protected:
  bool read_network() {
    if (!(file_.find("acting.nodes") == nullptr ? read_chain() : read_images() && read_nodes())) return false;
    return is_small();
  }

 private:
  bool read_chain() {
    std::vector<std::int64_t> sizes;
    std::int64_t activation = 0;
    const std::int64_t num_sizes = length("acting.sizes");
    if (num_sizes < 2) return unfit("two or more acting.sizes");
    if (!numbers("acting.sizes", {1, {num_sizes}}, sizes)) return false;
    if (!number("acting.activation", static_cast<std::int64_t>(Activation::silu), activation)) return false;
    for (const std::int64_t size : sizes) {
      if (size < 1 || size > kMaxWidth) return unfit("acting.sizes in 1..2^30 - 1");
    }
    take_features(sizes[0]);
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      const bool is_last = i + 2 == sizes.size();
      NodeForm node{NodeKind::dense,
                    is_last ? Activation::identity : static_cast<Activation>(activation),
                    i,
                    1,
                    0,
                    0,
                    {},
                    0,
                    0,
                    {},
                    {}};
      form_.buffers.push_back(static_cast<int>(i));
      if (!read_dense("layers." + std::to_string(i), sizes[i], sizes[i + 1], node)) return false;
      form_.nodes.push_back(node);
    }
    return true;
  }

  bool read_images() {
    std::vector<std::int64_t> sizes;
    std::vector<float> scales;
    const std::int64_t num_images = length("acting.images", 2), num_features = length("acting.mean_high");
    if (num_images > kMaxNodes) return unsupported("up to 4096 acting.images");
    if (!numbers("acting.images", {2, {num_images, 3}}, sizes) ||
        !numbers("acting.scales", {1, {num_images}}, scales)) {
      return false;
    }
    if (num_features > kMaxWidth) return unfit("acting.mean_high of up to 2^30 - 1");
    take_features(num_features);
    outputs_.push_back(num_features);
    for (std::size_t i = 0; i < scales.size(); ++i) {
      std::int64_t size = 1;
      if (!multiply({sizes[3 * i], sizes[3 * i + 1], sizes[3 * i + 2]}, size)) return unfit("acting.images of pixels");
      if (!(std::isfinite)(scales[i]) || scales[i] <= 0.0f) return unfit("acting.scales above 0");
      const auto side = [&](std::size_t j) { return static_cast<int>(sizes[3 * i + j]); };
      form_.images.push_back({{side(2), side(0), side(1)}, scales[i]});  // height, width, channels in the file
      keep(size);
      outputs_.push_back(size);
    }
    return true;
  }

  bool read_nodes() {
    std::vector<std::int64_t> table, buffers;
    const std::int64_t num_nodes = length("acting.nodes", 2), num_buffers = length("acting.buffers");
    if (num_nodes < 1) return unfit("a table of acting.nodes");
    const std::int64_t names_size = length("acting.names");
    if (num_nodes > kMaxNodes || num_buffers > kMaxBuffers || names_size > kMaxNames) {
      return unsupported("up to 4096 acting.nodes, that read 2^16 buffers and have names of 2^20 characters");
    }
    if (!numbers("acting.nodes", {2, {num_nodes, kNodeColumns}}, table) ||
        !numbers("acting.buffers", {1, {num_buffers}}, buffers)) {
      return false;
    }
    const char* names = find("acting.names", "U8", {1, {names_size}});
    if (names == nullptr) return false;
    names_ = std::string_view(names, static_cast<std::size_t>(names_size));
    form_.buffers.reserve(buffers.size());
    for (std::int64_t j = 0; j < num_nodes; ++j) {
      if (!read_node(table.data() + j * kNodeColumns, buffers)) return false;
    }
    return (form_.buffers.size() == buffers.size() && names_.empty()) ||
           unfit("acting.buffers and acting.names of nodes");
  }

  bool read_node(const std::int64_t* row, const std::vector<std::int64_t>& buffers) {
    const std::int64_t kind = row[0], activation = row[1], num_buffers = row[2], *sizes = row + 3;
    const auto left = static_cast<std::int64_t>(buffers.size() - form_.buffers.size());
    if (kind < 0 || kind > static_cast<std::int64_t>(NodeKind::columns)) return unfit("acting.nodes of a kind in 0..3");
    if (activation < 0 || activation > static_cast<std::int64_t>(Activation::silu)) {
      return unfit("acting.nodes of an activation in 0..4");
    }
    if (num_buffers > left) return unfit("acting.nodes with acting.buffers");
    std::int64_t num_inputs = 0;
    const std::size_t first = form_.buffers.size();
    for (std::int64_t i = 0; i < num_buffers; ++i) {
      const std::int64_t buffer = buffers[form_.buffers.size()];
      if (buffer < 0 || buffer >= static_cast<std::int64_t>(outputs_.size()))
        return unfit("acting.buffers of nodes before");
      num_inputs += outputs_[static_cast<std::size_t>(buffer)];
      form_.buffers.push_back(static_cast<int>(buffer));
    }
    if (num_inputs < 1 || num_inputs > kMaxWidth) return unfit("acting.nodes that read up to 2^30 - 1 numbers");
    if (num_buffers > 1) keep(num_inputs);
    NodeForm node{static_cast<NodeKind>(kind),
                  static_cast<Activation>(activation),
                  first,
                  static_cast<std::size_t>(num_buffers),
                  static_cast<int>(num_inputs),
                  0,
                  {},
                  0,
                  0,
                  {},
                  {}};
    if (!read_sizes(sizes, node)) return false;
    outputs_.push_back(node.num_outputs);
    form_.nodes.push_back(node);
    return true;
  }

  bool read_sizes(const std::int64_t* sizes, NodeForm& node) {
    const bool has_parameters = node.kind == NodeKind::dense || node.kind == NodeKind::conv2d;
    if (!has_parameters && node.activation != Activation::identity) return unfit("acting.nodes that only copy");
    switch (node.kind) {
      case NodeKind::dense:
        if (!are_sizes(sizes, 2) || sizes[0] != node.num_inputs) return unfit("a dense layer of its inputs");
        return read_dense(next_name(), sizes[0], sizes[1], node);
      case NodeKind::conv2d:
        return read_conv2d(sizes, node);
      case NodeKind::flatten: {
        std::int64_t size = 1;
        if (!are_sizes(sizes, 3) || !multiply({sizes[0], sizes[1], sizes[2]}, size) || size != node.num_inputs) {
          return unfit("the image that a node reads");
        }
        const auto side = [&](int i) { return static_cast<int>(sizes[i]); };
        node.image = {side(0), side(1), side(2), 1, 1, 1, 1};
        node.num_outputs = node.num_inputs;
        keep(size);
        return true;
      }
      case NodeKind::columns:
        if (!are_sizes(sizes, 2, 1) || sizes[0] > node.num_inputs - sizes[1]) return unfit("columns of its inputs");
        node.first = static_cast<int>(sizes[0]);
        node.num_outputs = static_cast<int>(sizes[1]);
        return true;
    }
    return false;
  }

  bool read_dense(const std::string& name, std::int64_t num_inputs, std::int64_t num_outputs, NodeForm& node) {
    node.num_inputs = static_cast<int>(num_inputs);
    node.num_outputs = static_cast<int>(num_outputs);
    num_floats_ += static_cast<std::uint64_t>(num_parameters(node.num_inputs, node.num_outputs) +
                                              8 * std::ptrdiff_t{padded(node.num_outputs)});
    return is_small() && read_parameters(name, {2, {num_outputs, num_inputs}}, node);
  }

  // sizes: height, width, channels, filters, height and width of the kernel, stride, padding
  bool read_conv2d(const std::int64_t* sizes, NodeForm& node) {
    if (!are_sizes(sizes, 7, 0, 1)) return unfit("a convolution of sizes in 1..2^30 - 1");
    std::int64_t size = 1, bordered = 1, depth = 1, output = 1;
    const std::int64_t channels = sizes[2], filters = sizes[3], kernel_height = sizes[4], kernel_width = sizes[5];
    const std::int64_t height = sizes[0] + 2 * sizes[7], width = sizes[1] + 2 * sizes[7], stride = sizes[6];
    const std::int64_t out_height = (height - kernel_height) / stride + 1,
                       out_width = (width - kernel_width) / stride + 1;
    if (!multiply({sizes[0], sizes[1], channels}, size) || size != node.num_inputs || kernel_height > height ||
        kernel_width > width || !multiply({height, width, channels}, bordered) ||
        !multiply({kernel_height, kernel_width, channels}, depth) ||
        !multiply({out_height, out_width, filters}, output)) {
      return unfit("a convolution that fits the image that it reads");
    }
    const auto side = [](std::int64_t n) { return static_cast<int>(n); };
    node.image = {side(height),        side(width),        side(channels), side(filters),
                  side(kernel_height), side(kernel_width), side(stride)};
    node.padding = side(sizes[7]);
    node.num_outputs = side(output);
    num_floats_ += static_cast<std::uint64_t>(num_parameters(node.image));
    keep(output);
    if (node.padding > 0) keep(bordered);
    return is_small() && read_parameters(next_name(), {4, {filters, channels, kernel_height, kernel_width}}, node);
  }

  // Before the numbers of a node are read: nodes may share tensors, so that a small file describes large networks.
  bool is_small() {
    return num_floats_ * sizeof(float) <= file_.data.size() + kMaxPadding ||
           unsupported("layers and images that take little more memory than the file");
  }

  bool read_parameters(const std::string& name, const Shape& weight, NodeForm& node) {
    node.weight = parameters("policy." + name + ".weight", weight);
    if (node.weight) node.bias = parameters("policy." + name + ".bias", {1, {weight.sizes[0]}});
    return node.bias.has_value();
  }

  // Whether of the 8 sizes of a node the first `n` are in 1..2^30 - 1, but for those that may be 0, and the rest are 0:
  // the first `num_first`, and `num_last` that follow.
  static bool are_sizes(const std::int64_t* sizes, int n, int num_first = 0, int num_last = 0) {
    for (int i = 0; i < 8; ++i) {
      const bool is_size = i < n + num_last, may_be_zero = i < num_first || i >= n;
      if (sizes[i] < (may_be_zero ? 0 : 1) || sizes[i] > (is_size ? kMaxWidth : 0)) return false;
    }
    return true;
  }

  // to = the product of three sizes; false unless each is 1 or more, and the product 2^30 - 1 at most.
  static bool multiply(const std::int64_t (&sizes)[3], std::int64_t& to) {
    to = 1;
    for (const std::int64_t size : sizes) {
      if (size < 1 || size > kMaxWidth / to) return false;
      to *= size;
    }
    return true;
  }

  // The name of the next node with parameters; empty if there are no more.
  std::string next_name() {
    const std::size_t end = (std::min)(names_.find('\n'), names_.size());
    const std::string name(names_.substr(0, end));
    names_.remove_prefix((std::min)(end + 1, names_.size()));
    return name;
  }

  void take_features(std::int64_t n) {
    form_.num_features = static_cast<int>(n);
    num_floats_ += static_cast<std::uint64_t>(4 * std::ptrdiff_t{padded(form_.num_features)});
  }

  // Counts memory of a policy, for that many numbers of an observation.
  void keep(std::int64_t n) { num_floats_ += static_cast<std::uint64_t>(n) + 2 * kPadding; }

  NetworkForm& form_;
  std::vector<std::int64_t> outputs_;  // numbers in each buffer
  std::string_view names_;             // of nodes with parameters, that are left, a line each
  std::uint64_t num_floats_ = 0;       // that a policy keeps
};

}  // namespace detail

}  // namespace trpo_fast::runtime
