// The one file that instantiates layers and distributions: their products take long to compile.
#include "problems.hpp"

#include "trpo_fast/distributions/bernoulli.hpp"
#include "trpo_fast/distributions/categorical.hpp"
#include "trpo_fast/distributions/diag_gaussian.hpp"
#include "trpo_fast/distributions/product.hpp"
#include "trpo_fast/distributions/unit_gaussian.hpp"
#include "trpo_fast/network/append_log_std.hpp"
#include "trpo_fast/network/clamp_log_std.hpp"
#include "trpo_fast/network/columns.hpp"
#include "trpo_fast/network/dense.hpp"
#include "trpo_fast/network/flatten.hpp"
#include "trpo_fast/network/gru.hpp"

namespace trpo_fast::tests {

template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_dense(Index inputs, Index outputs, Activation activation) {
  return std::make_shared<Dense<Scalar>>(inputs, outputs, activation);
}

template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_conv2d(const Conv2dShape& shape, Activation activation) {
  return std::make_shared<Conv2d<Scalar>>(shape, activation);
}

template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_gru(Index inputs, Index outputs) {
  return std::make_shared<Gru<Scalar>>(inputs, outputs);
}

template <class Scalar>
Network<Scalar> make_network(const NetworkSpec& spec) {
  std::vector<std::shared_ptr<const Layer<Scalar>>> layers;
  for (std::size_t l = 0; l + 1 < spec.sizes.size(); ++l) {
    const bool last = l + 2 == spec.sizes.size();
    layers.push_back(
        make_dense<Scalar>(spec.sizes[l], spec.sizes[l + 1], last ? Activation::identity : spec.activation));
  }
  if (spec.log_std) layers.push_back(std::make_shared<AppendLogStd<Scalar>>(spec.sizes.back()));
  if (spec.clamp_log_std) layers.push_back(std::make_shared<ClampLogStd<Scalar>>(spec.sizes.back() / 2));
  return Network<Scalar>(layers, spec.is_masked);
}

template <class Scalar>
Network<Scalar> make_forked_network() {
  return Network<Scalar>(std::vector<Node<Scalar>>{{make_dense<Scalar>(5, 7, Activation::tanh), {0}},
                                                   {make_dense<Scalar>(7, 3, Activation::silu), {1}},
                                                   {make_dense<Scalar>(5, 4, Activation::relu), {0}},
                                                   {make_dense<Scalar>(7, 2, Activation::identity), {1}},
                                                   {std::make_shared<AppendLogStd<Scalar>>(2), {4}}});
}

template <class Scalar>
Network<Scalar> make_convolutional_network() {
  return Network<Scalar>(std::vector<std::shared_ptr<const Layer<Scalar>>>{
      std::make_shared<Columns<Scalar>>(kConvolutionalInputs, 3, 126),
      make_conv2d<Scalar>({7, 6, 3, 5, 3, 2, 2, 1}, Activation::silu),
      make_conv2d<Scalar>({4, 4, 5, 6, 2, 2, 1, 0}, Activation::elu), std::make_shared<Flatten<Scalar>>(3, 3, 6),
      std::make_shared<Columns<Scalar>>(54, 1, 52), make_dense<Scalar>(52, 3, Activation::tanh)});
}

template <class Scalar>
Network<Scalar> make_image_network() {
  return Network<Scalar>({{make_conv2d<Scalar>({7, 6, 3, 5, 3, 2, 2, 1}, Activation::silu), {1}},
                          {std::make_shared<Flatten<Scalar>>(4, 4, 5), {3}},
                          {make_dense<Scalar>(80, 9, Activation::tanh), {4}},
                          {make_dense<Scalar>(9, 6, Activation::relu), {5}},
                          {make_dense<Scalar>(12, 3, Activation::tanh), {2}},
                          {make_dense<Scalar>(13, 7, Activation::silu), {0, 5}},
                          {make_dense<Scalar>(22, 5, Activation::identity), {5, 8, 6}}},
                         false, {{7, 6, 3, 1.0 / 255.0}, {2, 3, 2, 1.0}});
}

template <class Scalar>
std::shared_ptr<const Distribution<Scalar>> make_distribution(const Factors& factors) {
  std::vector<std::shared_ptr<const Distribution<Scalar>>> parts;
  for (const Factor& f : factors) {
    if (f.kind == Kind::gaussian) parts.push_back(std::make_shared<DiagGaussian<Scalar>>(f.size));
    if (f.kind == Kind::categorical) parts.push_back(std::make_shared<Categorical<Scalar>>(f.size));
    if (f.kind == Kind::bernoulli) parts.push_back(std::make_shared<Bernoulli<Scalar>>(f.size));
    if (f.kind == Kind::unit_gaussian) parts.push_back(std::make_shared<UnitGaussian<Scalar>>(f.size));
  }
  return parts.size() == 1 ? parts.front() : std::make_shared<Product<Scalar>>(parts);
}

template std::shared_ptr<const Layer<float>> make_dense(Index, Index, Activation);
template std::shared_ptr<const Layer<double>> make_dense(Index, Index, Activation);
template std::shared_ptr<const Layer<float>> make_conv2d(const Conv2dShape&, Activation);
template std::shared_ptr<const Layer<double>> make_conv2d(const Conv2dShape&, Activation);
template std::shared_ptr<const Layer<float>> make_gru(Index, Index);
template std::shared_ptr<const Layer<double>> make_gru(Index, Index);
template Network<float> make_network(const NetworkSpec&);
template Network<double> make_network(const NetworkSpec&);
template Network<float> make_forked_network();
template Network<double> make_forked_network();
template Network<float> make_convolutional_network();
template Network<double> make_convolutional_network();
template Network<float> make_image_network();
template Network<double> make_image_network();
template std::shared_ptr<const Distribution<float>> make_distribution(const Factors&);
template std::shared_ptr<const Distribution<double>> make_distribution(const Factors&);

}  // namespace trpo_fast::tests
