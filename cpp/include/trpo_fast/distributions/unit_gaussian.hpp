// UnitGaussian: a ~ N(mean, I), phi = mean. Its log-likelihood is minus half the squared error, up to a constant, and
// its metric the identity: a value head beside a policy's outputs is one more factor of a Product.
#pragma once

#include "distribution.hpp"

namespace trpo_fast {

template <class Scalar>
class UnitGaussian final : public Distribution<Scalar> {
 public:
  explicit UnitGaussian(Index size) : d_(size) {}

  Index num_dist_params() const override { return d_; }
  Index action_size() const override { return d_; }

  Index first_invalid_action(ConstPanel<Scalar> /*actions*/) const override { return -1; }

  void log_prob(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, VectorView<double> out) const override {
    constexpr double half_log_2pi = 0.91893853320467274178;
    for_each_entry(phi.rows(), [&](Index n, Index j) {
      const double z = double(actions(n, j)) - double(phi(n, j));
      out[n] -= 0.5 * z * z + half_log_2pi;
    });
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    for_each_entry(p.rows(), [&](Index n, Index j) {
      // (z_p^2 - z_q^2) / 2, with z_p - z_q = dmean
      const double z_p = double(actions(n, j)) - double(p(n, j));
      const double dz = double(q(n, j)) - double(p(n, j));
      out[n] += dz * (z_p - 0.5 * dz);
    });
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    for_each_entry(phi.rows(), [&](Index n, Index j) {
      phi_bar(n, j) = static_cast<Scalar>(weight[n] * (double(actions(n, j)) - double(phi(n, j))));
    });
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    for_each_entry(p.rows(), [&](Index n, Index j) {
      const double z = double(p(n, j)) - double(q(n, j));
      out[n] += 0.5 * z * z;
    });
  }

  void entropy(ConstPanel<Scalar> /*phi*/, VectorView<double> out) const override {
    constexpr double half_log_2pi_e = 1.41893853320467274178;
    out.array() += double(d_) * half_log_2pi_e;
  }

  void entropy_vjp(ConstPanel<Scalar> /*phi*/, double /*weight*/, Panel<Scalar> /*phi_bar*/) const override {}

  void fisher_metric(ConstPanel<Scalar> /*phi*/, Panel<Scalar> metric) const override { metric.setOnes(); }

  void multiply_fisher(ConstPanel<Scalar> /*metric*/, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    out = dphi;
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    actions = phi + noise;
  }

  void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const override { actions = phi; }

 private:
  // f(row, dimension)
  template <class Function>
  void for_each_entry(Index n_rows, Function&& f) const {
    for (Index n = 0; n < n_rows; ++n) {
      for (Index j = 0; j < d_; ++j) f(n, j);
    }
  }

  Index d_;
};

}  // namespace trpo_fast
