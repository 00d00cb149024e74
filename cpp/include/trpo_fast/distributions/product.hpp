// Product: independent factors in adjacent columns. log_prob, KL and entropy are sums over them, M is block-diagonal.
// MultiDiscrete is a product of categoricals.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "distribution.hpp"

namespace trpo_fast {

template <class Scalar>
class Product final : public Distribution<Scalar> {
 public:
  explicit Product(std::vector<std::shared_ptr<const Distribution<Scalar>>> factors) : factors_(std::move(factors)) {
    if (factors_.empty()) throw std::invalid_argument("factors: expected at least one distribution, got none");
    for (const auto& factor : factors_) {
      num_dist_params_ += factor->num_dist_params();
      action_size_ += factor->action_size();
    }
  }

  Index num_dist_params() const override { return num_dist_params_; }
  Index action_size() const override { return action_size_; }

  Index first_invalid_action(ConstPanel<Scalar> actions) const override {
    Index first = -1;
    for_each_factor([&](const Distribution<Scalar>& factor, Index /*k*/, Index a) {
      const Index row = factor.first_invalid_action(columns(actions, a, factor.action_size()));
      if (row >= 0 && (first < 0 || row < first)) first = row;
    });
    return first;
  }

  void log_prob(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, VectorView<double> out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      factor.log_prob(columns(phi, k, factor.num_dist_params()), columns(actions, a, factor.action_size()), out);
    });
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      const Index size = factor.num_dist_params();
      factor.log_ratio(columns(p, k, size), columns(q, k, size), columns(actions, a, factor.action_size()), out);
    });
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      const Index size = factor.num_dist_params();
      factor.log_prob_vjp(columns(phi, k, size), columns(actions, a, factor.action_size()), weight,
                          columns(phi_bar, k, size));
    });
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index /*a*/) {
      const Index size = factor.num_dist_params();
      factor.kl_divergence(columns(p, k, size), columns(q, k, size), out);
    });
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index /*a*/) {
      factor.entropy(columns(phi, k, factor.num_dist_params()), out);
    });
  }

  void compare(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions, VectorView<double> log_ratio_out,
               VectorView<double> kl_out, VectorView<double> entropy_out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      const Index size = factor.num_dist_params();
      factor.compare(columns(p, k, size), columns(q, k, size), columns(actions, a, factor.action_size()), log_ratio_out,
                     kl_out, entropy_out);
    });
  }

  void entropy_vjp(ConstPanel<Scalar> phi, double weight, Panel<Scalar> phi_bar) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index /*a*/) {
      const Index size = factor.num_dist_params();
      factor.entropy_vjp(columns(phi, k, size), weight, columns(phi_bar, k, size));
    });
  }

  void fisher_metric(ConstPanel<Scalar> phi, Panel<Scalar> metric) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index /*a*/) {
      const Index size = factor.num_dist_params();
      factor.fisher_metric(columns(phi, k, size), columns(metric, k, size));
    });
  }

  void multiply_fisher(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index /*a*/) {
      const Index size = factor.num_dist_params();
      factor.multiply_fisher(columns(metric, k, size), columns(dphi, k, size), columns(out, k, size));
    });
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      const Index size = factor.action_size();
      factor.sample(columns(phi, k, factor.num_dist_params()), columns(noise, a, size), columns(actions, a, size));
    });
  }

  void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const override {
    for_each_factor([&](const Distribution<Scalar>& factor, Index k, Index a) {
      factor.mode(columns(phi, k, factor.num_dist_params()), columns(actions, a, factor.action_size()));
    });
  }

 private:
  // f(factor, first column in phi, first column in the action)
  template <class Function>
  void for_each_factor(Function&& f) const {
    Index k = 0;
    Index a = 0;
    for (const auto& factor : factors_) {
      f(*factor, k, a);
      k += factor->num_dist_params();
      a += factor->action_size();
    }
  }

  std::vector<std::shared_ptr<const Distribution<Scalar>>> factors_;
  Index num_dist_params_ = 0;
  Index action_size_ = 0;
};

}  // namespace trpo_fast
