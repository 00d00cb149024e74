// Distributions over rows of their parameters. Their functions: trpo_fast/distributions/distribution.hpp.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "arrays.hpp"

namespace trpo_fast {
template <class Scalar>
class Distribution;
}  // namespace trpo_fast

namespace trpo_fast::core {

template <class Scalar>
class Distribution {
 public:
  using Rows = Matrix<Scalar>;
  using ConstRows = Matrix<const Scalar>;

  Index num_dist_params() const;  // K
  Index action_size() const;      // A

  void check_actions(ConstRows actions) const;  // throws if a row is not an action

  // phi, p, q, metric and their (co)tangents are (N, K), actions and noise (N, A), vectors (N,)
  void log_prob(ConstRows phi, ConstRows actions, double* out) const;
  void log_ratio(ConstRows p, ConstRows q, ConstRows actions, double* out) const;
  void log_prob_vjp(ConstRows phi, ConstRows actions, const double* weight, Rows phi_bar) const;
  void kl_divergence(ConstRows p, ConstRows q, double* out) const;
  void entropy(ConstRows phi, double* out) const;
  void entropy_vjp(ConstRows phi, double weight, Rows phi_bar) const;
  void fisher_metric(ConstRows phi, Rows metric) const;
  void multiply_fisher(ConstRows metric, ConstRows dphi, Rows out) const;
  void sample(ConstRows phi, ConstRows noise, Rows actions) const;
  void mode(ConstRows phi, Rows actions) const;

  const std::shared_ptr<const trpo_fast::Distribution<Scalar>>& kernel() const { return kernel_; }

 protected:
  explicit Distribution(std::shared_ptr<const trpo_fast::Distribution<Scalar>> kernel) : kernel_(std::move(kernel)) {}

 private:
  std::shared_ptr<const trpo_fast::Distribution<Scalar>> kernel_;
};

template <class Scalar>
class DiagGaussian final : public Distribution<Scalar> {
 public:
  explicit DiagGaussian(Index size);
};

template <class Scalar>
class Categorical final : public Distribution<Scalar> {
 public:
  explicit Categorical(Index num_choices);
};

template <class Scalar>
class Bernoulli final : public Distribution<Scalar> {
 public:
  explicit Bernoulli(Index num_bits);
};

template <class Scalar>
class UnitGaussian final : public Distribution<Scalar> {
 public:
  explicit UnitGaussian(Index size);
};

template <class Scalar>
class Product final : public Distribution<Scalar> {
 public:
  explicit Product(const std::vector<std::shared_ptr<Distribution<Scalar>>>& factors);
};

}  // namespace trpo_fast::core
