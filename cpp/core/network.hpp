// Layers, and networks of them over one flat theta.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"

namespace trpo_fast {
template <class Scalar>
class Layer;
template <class Scalar>
class Network;
template <class Scalar>
class Linearization;
}  // namespace trpo_fast

namespace trpo_fast::core {

template <class Scalar>
class Layer {
 public:
  Index input_size() const;
  Index output_size() const;
  Index num_params() const;

  const std::shared_ptr<const trpo_fast::Layer<Scalar>>& kernel() const { return kernel_; }

 protected:
  explicit Layer(std::shared_ptr<const trpo_fast::Layer<Scalar>> kernel) : kernel_(std::move(kernel)) {}

 private:
  std::shared_ptr<const trpo_fast::Layer<Scalar>> kernel_;
};

template <class Scalar>
class Dense final : public Layer<Scalar> {
 public:
  Dense(Index input_size, Index output_size, const std::string& activation);
};

template <class Scalar>
class AppendLogStd final : public Layer<Scalar> {
 public:
  explicit AppendLogStd(Index size);
};

template <class Scalar>
class ClampLogStd final : public Layer<Scalar> {
 public:
  explicit ClampLogStd(Index size);
};

// The kernel must not be larger than the image with its padding.
template <class Scalar>
class Conv2d final : public Layer<Scalar> {
 public:
  Conv2d(Index height, Index width, Index channels, Index filters, Index kernel_height, Index kernel_width,
         Index stride, Index padding, const std::string& activation);
};

template <class Scalar>
class Flatten final : public Layer<Scalar> {
 public:
  Flatten(Index height, Index width, Index channels);
};

template <class Scalar>
class Columns final : public Layer<Scalar> {
 public:
  Columns(Index input_size, Index first, Index count);
};

// Has a state, as large as its output.
template <class Scalar>
class Gru final : public Layer<Scalar> {
 public:
  Gru(Index input_size, Index output_size);
};

template <class Scalar>
class Network {
 public:
  using LayerPointer = std::shared_ptr<Layer<Scalar>>;

  Network(const std::vector<LayerPointer>& layers, bool is_masked);                // a chain
  Network(const std::vector<std::pair<LayerPointer, std::vector<Index>>>& layers,  // each with the buffers it reads
          bool is_masked, const std::vector<ImageInput>& images);

  Index input_size() const;
  Index output_size() const;
  Index num_params() const;  // P
  Index state_size() const;  // 0 for a feed-forward network; the inputs of any other have sequences
  const std::vector<ImageInput>& images() const;

  // out = f(x; theta)
  void forward(const Scalar* theta,                   // (P,)
               const Inputs<Scalar>& x,               // N rows
               Matrix<Scalar> out,                    // (N, output_size)
               Scalar* last_states = nullptr) const;  // (number of lanes, state_size), or null

  const trpo_fast::Network<Scalar>& kernel() const { return *kernel_; }

 private:
  std::shared_ptr<const trpo_fast::Network<Scalar>> kernel_;
};

// The network must outlive it.
template <class Scalar>
class Linearization {
 public:
  Linearization(const Network<Scalar>& network,
                const Scalar* theta,       // (P,)
                const Inputs<Scalar>& x);  // N rows

  Index num_rows() const;
  Index num_params() const;
  Index output_size() const;

  // out = J dtheta
  void jvp(const Scalar* dtheta,       // (P,)
           Matrix<Scalar> out) const;  // (N, output_size)
  // out = J^T phi_bar
  void vjp(Matrix<const Scalar> phi_bar,  // (N, output_size)
           Scalar* out) const;            // (P,)

 private:
  std::shared_ptr<const trpo_fast::Linearization<Scalar>> kernel_;
};

}  // namespace trpo_fast::core
