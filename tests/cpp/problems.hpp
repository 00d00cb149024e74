// Networks, distributions and batches at random, and the list of those that every property runs over.
#pragma once

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "reference.hpp"
#include "trpo_fast/distributions/distribution.hpp"
#include "trpo_fast/network/conv2d.hpp"
#include "trpo_fast/network/linearization.hpp"
#include "trpo_fast/network/network.hpp"

namespace trpo_fast::tests {

constexpr Index kBatchRows = 70;  // a block and a bit

// a b + c as the kernels compute it
template <class Scalar>
Scalar multiply_add(Scalar a, Scalar b, Scalar c) {
#if defined(EIGEN_HAS_SINGLE_INSTRUCTION_MADD)
  if constexpr (!std::is_same_v<Scalar, long double>) return std::fma(a, b, c);  // std::fma of long double is emulated
#endif
  return a * b + c;
}

// Each element is kChains sums: term k of a product goes to sum k mod kChains, the bias begins sum 0.
template <int kChains, class Scalar>
class ChainedSum {
 public:
  explicit ChainedSum(Scalar bias) { sums_[0] = bias; }
  void add(Index k, Scalar a, Scalar b) { sums_[k % kChains] = multiply_add(a, b, sums_[k % kChains]); }
  Scalar value() const {
    if constexpr (kChains == 4) return (sums_[0] + sums_[1]) + (sums_[2] + sums_[3]);
    if constexpr (kChains == 2) return sums_[0] + sums_[1];
    return sums_[0];
  }

 private:
  Scalar sums_[kChains] = {};
};

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double normal() { return std::normal_distribution<double>()(engine_); }
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  Index below(Index n) { return static_cast<Index>(engine_() % static_cast<std::uint64_t>(n)); }

  template <class Scalar>
  RowMatrix<Scalar> matrix(Index rows, Index cols, double scale = 1.0) {
    return RowMatrix<Scalar>::NullaryExpr(rows, cols, [&] { return static_cast<Scalar>(scale * normal()); });
  }
  template <class Scalar>
  Vector<Scalar> vector(Index size, double scale = 1.0) {
    return Vector<Scalar>::NullaryExpr(size, [&] { return static_cast<Scalar>(scale * normal()); });
  }

 private:
  std::mt19937_64 engine_;
};

template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_dense(Index inputs, Index outputs, Activation activation);
template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_conv2d(const Conv2dShape& shape, Activation activation);
template <class Scalar>
std::shared_ptr<const Layer<Scalar>> make_gru(Index inputs, Index outputs);
template <class Scalar>
Network<Scalar> make_network(const NetworkSpec& spec);
// Not a chain: two heads on a trunk and a second trunk, of which one head leads to the output; then log_std.
// The parameters of those that lead to it are those of the chain {{5, 7, 2}, tanh, true}.
template <class Scalar>
Network<Scalar> make_forked_network();
constexpr Index kForkedNodes = 5;
constexpr bool kForkedLeadsToOutput[kForkedNodes] = {true, false, false, true, true};
// Some columns of 130 inputs, convolutions of stride 2 with padding and of stride 1, Flatten, and a dense layer that
// reads all but the ends: 3 outputs
template <class Scalar>
Network<Scalar> make_convolutional_network();
constexpr Index kConvolutionalInputs = 130;
// Reads an image (7, 6, 3) and a vector of 4: a convolution, and dense layers of which one is read by three others,
// alone and beside the vector; 5 outputs. A second image, (2, 3, 2), is read by a node that does not lead to them.
template <class Scalar>
Network<Scalar> make_image_network();
template <class Scalar>
std::shared_ptr<const Distribution<Scalar>> make_distribution(const Factors& factors);

template <class Scalar>
RowMatrix<Scalar> random_actions(const Factors& factors, Index n, Random& random) {
  RowMatrix<Scalar> actions(n, make_distribution<Scalar>(factors)->action_size());
  for (Index row = 0; row < n; ++row) {
    Index column = 0;
    for (const Factor& f : factors) {
      for (Index j = 0; j < f.action_size(); ++j) {
        const double bounded = static_cast<double>(random.below(f.kind == Kind::categorical ? f.size : 2));
        actions(row, column++) = static_cast<Scalar>(f.is_gaussian() ? random.normal() : bounded);
      }
    }
  }
  return actions;
}

// What a mask says to phi (N, K): 0 for some choices that are not the row's action, otherwise 1.
template <class Scalar>
RowMatrix<Scalar> random_mask(const Factors& factors, const RowMatrix<Scalar>& actions, Random& random) {
  RowMatrix<Scalar> mask =
      RowMatrix<Scalar>::Ones(actions.rows(), make_distribution<Scalar>(factors)->num_dist_params());
  for (Index row = 0; row < actions.rows(); ++row) {
    Index k = 0, column = 0;
    for (const Factor& f : factors) {
      for (Index j = 0; f.kind == Kind::categorical && j < f.size; ++j) {
        if (Scalar(j) != actions(row, column) && random.below(2) == 0) mask(row, k + j) = Scalar(0);
      }
      k += f.num_dist_params();
      column += f.action_size();
    }
  }
  return mask;
}

struct PolicySpec {
  const char* name;
  NetworkSpec network;
  Factors factors;
};

// Widths that are multiples of nothing, every activation, every distribution.
inline const std::vector<PolicySpec>& policy_specs() {
  static const std::vector<PolicySpec> specs{
      {"linear gaussian", {{5, 3}, Activation::identity, true}, {{Kind::gaussian, 3}}},
      {"tanh gaussian", {{5, 7, 2}, Activation::tanh, true}, {{Kind::gaussian, 2}}},
      {"relu categorical", {{3, 9, 4}, Activation::relu, false}, {{Kind::categorical, 4}}},
      {"elu bernoulli", {{4, 5, 6, 3}, Activation::elu, false}, {{Kind::bernoulli, 3}}},
      {"silu product",
       {{2, 6, 7}, Activation::silu, false},
       {{Kind::categorical, 2}, {Kind::bernoulli, 1}, {Kind::gaussian, 1}, {Kind::categorical, 2}}},
      {"tanh unit gaussian", {{3, 5, 2}, Activation::tanh, false}, {{Kind::unit_gaussian, 2}}},
      {"elu categorical with a value",
       {{4, 6, 4}, Activation::elu, false},
       {{Kind::categorical, 3}, {Kind::unit_gaussian, 1}}},
      {"tanh gaussian of state-dependent std", {{3, 5, 4}, Activation::tanh, false, true}, {{Kind::gaussian, 2}}},
      {"masked categorical", {{3, 6, 5}, Activation::tanh, false, false, true}, {{Kind::categorical, 5}}},
      {"masked product",
       {{4, 7, 8}, Activation::relu, false, false, true},
       {{Kind::categorical, 3}, {Kind::bernoulli, 1}, {Kind::categorical, 4}}},
  };
  return specs;
}

// A policy and a batch of its actions.
template <class Scalar>
struct Problem {
  NetworkSpec spec;
  Factors factors;
  Random random;
  Network<Scalar> network;
  std::shared_ptr<const Distribution<Scalar>> distribution;
  Vector<Scalar> theta;       // (P,)
  RowMatrix<Scalar> x;        // (N, input_size)
  RowMatrix<Scalar> actions;  // (N, A)
  Vector<double> advantages;  // (N,)

  Problem(const PolicySpec& policy, Index n_rows, std::uint64_t seed = 1)
      : spec(policy.network),
        factors(policy.factors),
        random(seed),
        network(make_network<Scalar>(spec)),
        distribution(make_distribution<Scalar>(factors)),
        theta(random.vector<Scalar>(network.num_params(), 0.5)),
        x(random.matrix<Scalar>(n_rows, network.input_size())),
        actions(random_actions<Scalar>(factors, n_rows, random)),
        advantages(random.vector<double>(n_rows)) {
    if (spec.is_masked) x.rightCols(network.output_size()) = random_mask<Scalar>(factors, actions, random);
  }

  Inputs<Scalar> inputs(Index block_rows = kBlockRows) const { return {view(x), block_rows}; }
  std::shared_ptr<const Linearization<Scalar>> linearization(int n_threads, Index block_rows = kBlockRows) const {
    return std::make_shared<const Linearization<Scalar>>(network, theta.data(), inputs(block_rows), n_threads);
  }
  ConstVectorView<Scalar> theta_view() const { return {theta.data(), theta.size()}; }
  ConstVectorView<double> advantages_view() const { return {advantages.data(), advantages.size()}; }
};

template <class T, class Array>
std::vector<T> widened(const Array& values) {
  std::vector<T> out;
  for (Index i = 0; i < values.size(); ++i) out.push_back(static_cast<T>(values[i]));
  return out;
}

// The Jacobian of phi with respect to theta at one row: column i is d phi / d theta_i, (P, K).
template <class Real>
std::vector<std::vector<Real>> reference_jacobian(const NetworkSpec& spec, const std::vector<Real>& theta,
                                                  const std::vector<Real>& x) {
  std::vector<Dual<Real>> at(theta.begin(), theta.end());
  const std::vector<Dual<Real>> inputs(x.begin(), x.end());
  std::vector<std::vector<Real>> jacobian;
  for (Dual<Real>& parameter : at) {
    parameter.slope = 1;
    std::vector<Real> column;
    for (const Dual<Real>& phi : reference_forward(spec, at, inputs)) column.push_back(phi.slope);
    jacobian.push_back(column);
    parameter.slope = 0;
  }
  return jacobian;
}

}  // namespace trpo_fast::tests
