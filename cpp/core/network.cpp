#include "network.hpp"

#include "conv_kernels.hpp"
#include "dense_kernels.hpp"
#include "recurrent_kernels.hpp"
#include "trpo_fast/network/append_log_std.hpp"
#include "trpo_fast/network/clamp_log_std.hpp"
#include "trpo_fast/network/columns.hpp"
#include "trpo_fast/network/evaluator.hpp"
#include "trpo_fast/network/flatten.hpp"
#include "trpo_fast/network/linearization.hpp"
#include "views.hpp"

namespace trpo_fast::core {

template <class Scalar>
Index Layer<Scalar>::input_size() const {
  return kernel_->input_size();
}
template <class Scalar>
Index Layer<Scalar>::output_size() const {
  return kernel_->output_size();
}
template <class Scalar>
Index Layer<Scalar>::num_params() const {
  return kernel_->num_params();
}

template <class Scalar>
Dense<Scalar>::Dense(Index input_size, Index output_size, const std::string& activation)
    : Layer<Scalar>(std::make_shared<const trpo_fast::Dense<Scalar>>(input_size, output_size,
                                                                     activation_from_name(activation))) {}

template <class Scalar>
AppendLogStd<Scalar>::AppendLogStd(Index size)
    : Layer<Scalar>(std::make_shared<const trpo_fast::AppendLogStd<Scalar>>(size)) {}

template <class Scalar>
ClampLogStd<Scalar>::ClampLogStd(Index size)
    : Layer<Scalar>(std::make_shared<const trpo_fast::ClampLogStd<Scalar>>(size)) {}

template <class Scalar>
Conv2d<Scalar>::Conv2d(Index height, Index width, Index channels, Index filters, Index kernel_height,
                       Index kernel_width, Index stride, Index padding, const std::string& activation)
    : Layer<Scalar>(std::make_shared<const trpo_fast::Conv2d<Scalar>>(
          Conv2dShape{height, width, channels, filters, kernel_height, kernel_width, stride, padding},
          activation_from_name(activation))) {}

template <class Scalar>
Flatten<Scalar>::Flatten(Index height, Index width, Index channels)
    : Layer<Scalar>(std::make_shared<const trpo_fast::Flatten<Scalar>>(height, width, channels)) {}

template <class Scalar>
Columns<Scalar>::Columns(Index input_size, Index first, Index count)
    : Layer<Scalar>(std::make_shared<const trpo_fast::Columns<Scalar>>(input_size, first, count)) {}

template <class Scalar>
Gru<Scalar>::Gru(Index input_size, Index output_size)
    : Layer<Scalar>(std::make_shared<const trpo_fast::Gru<Scalar>>(input_size, output_size)) {}

template <class Scalar>
Network<Scalar>::Network(const std::vector<LayerPointer>& layers, bool is_masked) {
  std::vector<std::shared_ptr<const trpo_fast::Layer<Scalar>>> chain;
  for (const auto& layer : layers) chain.push_back(layer->kernel());
  kernel_ = std::make_shared<const trpo_fast::Network<Scalar>>(chain, is_masked);
}

template <class Scalar>
Network<Scalar>::Network(const std::vector<std::pair<LayerPointer, std::vector<Index>>>& layers, bool is_masked,
                         const std::vector<ImageInput>& images) {
  std::vector<Node<Scalar>> nodes;
  for (const auto& [layer, buffers] : layers) nodes.push_back({layer->kernel(), buffers});
  kernel_ = std::make_shared<const trpo_fast::Network<Scalar>>(nodes, is_masked, images);
}

template <class Scalar>
Index Network<Scalar>::input_size() const {
  return kernel_->input_size();
}
template <class Scalar>
Index Network<Scalar>::output_size() const {
  return kernel_->output_size();
}
template <class Scalar>
Index Network<Scalar>::num_params() const {
  return kernel_->num_params();
}

template <class Scalar>
Index Network<Scalar>::state_size() const {
  return kernel_->state_size();
}

template <class Scalar>
const std::vector<ImageInput>& Network<Scalar>::images() const {
  return kernel_->images();
}

template <class Scalar>
void Network<Scalar>::forward(const Scalar* theta, const Inputs<Scalar>& x, Matrix<Scalar> out,
                              Scalar* last_states) const {
  trpo_fast::forward<Scalar>(*kernel_, theta, view(x), view(out), default_threads(), last_states);
}

template <class Scalar>
Linearization<Scalar>::Linearization(const Network<Scalar>& network, const Scalar* theta, const Inputs<Scalar>& x)
    : kernel_(std::make_shared<const trpo_fast::Linearization<Scalar>>(network.kernel(), theta, view(x),
                                                                       default_threads())) {}

template <class Scalar>
Index Linearization<Scalar>::num_rows() const {
  return kernel_->num_rows();
}
template <class Scalar>
Index Linearization<Scalar>::num_params() const {
  return kernel_->network().num_params();
}
template <class Scalar>
Index Linearization<Scalar>::output_size() const {
  return kernel_->network().output_size();
}

// f(Rows) for each block, in order
template <class Function>
void for_each_block(const RowBlocks& blocks, Function&& f) {
  for (Index i = 0; i < blocks.num_slots(); ++i) blocks.for_each_block(blocks.slot(i), f);
}

template <class Scalar>
void Linearization<Scalar>::jvp(const Scalar* dtheta, Matrix<Scalar> out) const {
  const trpo_fast::Network<Scalar>& network = kernel_->network();
  typename trpo_fast::Linearization<Scalar>::Workspace workspace(*kernel_);
  trpo_fast::Vector<Scalar> dpacked = trpo_fast::Vector<Scalar>::Zero(network.packed_size());
  network.pack(dtheta, dpacked.data());
  for_each_block(kernel_->blocks(),
                 [&](Rows rows) { block(view(out), rows) = kernel_->load(rows, workspace).jvp(dpacked.data()); });
}

template <class Scalar>
void Linearization<Scalar>::vjp(Matrix<const Scalar> phi_bar, Scalar* out) const {
  const trpo_fast::Network<Scalar>& network = kernel_->network();
  typename trpo_fast::Linearization<Scalar>::Workspace workspace(*kernel_);
  PaddedMatrix<Scalar> copy(view(phi_bar));
  trpo_fast::Vector<Scalar> packed_bar = trpo_fast::Vector<Scalar>::Zero(network.packed_size());
  for_each_block(kernel_->blocks(), [&](Rows rows) {
    kernel_->load(rows, workspace).vjp(copy.panel(rows.begin, rows.size()), packed_bar.data());
  });
  network.unpack(packed_bar.data(), out);
}

#define TRPO_FAST_NETWORK(Scalar)      \
  template class Layer<Scalar>;        \
  template class Dense<Scalar>;        \
  template class AppendLogStd<Scalar>; \
  template class ClampLogStd<Scalar>;  \
  template class Conv2d<Scalar>;       \
  template class Flatten<Scalar>;      \
  template class Columns<Scalar>;      \
  template class Gru<Scalar>;          \
  template class Network<Scalar>;      \
  template class Linearization<Scalar>

TRPO_FAST_NETWORK(float);
TRPO_FAST_NETWORK(double);

}  // namespace trpo_fast::core
