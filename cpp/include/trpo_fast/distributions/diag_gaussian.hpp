// DiagGaussian: a ~ N(mean, diag(exp(2 log_std))), phi = [mean, log_std].
#pragma once

#include <cmath>

#include "distribution.hpp"
#include "scalar_math.hpp"

namespace trpo_fast {

template <class Scalar>
class DiagGaussian final : public Distribution<Scalar> {
 public:
  explicit DiagGaussian(Index size) : d_(size) {}

  Index num_dist_params() const override { return 2 * d_; }
  Index action_size() const override { return d_; }

  Index first_invalid_action(ConstPanel<Scalar> /*actions*/) const override { return -1; }

  void log_prob(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, VectorView<double> out) const override {
    constexpr double half_log_2pi = 0.91893853320467274178;
    CachedUnary inv_std([](double s) { return std::exp(-s); });
    for_each_entry(phi.rows(), [&](Index n, Index j) {
      // log N(a; mean, exp(s)) = -z^2/2 - s - log(2 pi)/2
      const double s = phi(n, d_ + j);
      const double z = (double(actions(n, j)) - double(phi(n, j))) * inv_std(s);
      out[n] -= 0.5 * z * z + s + half_log_2pi;
    });
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    CachedUnary inv_std_p([](double s) { return std::exp(-s); });
    CachedUnary inv_std_q([](double s) { return std::exp(-s); });
    CachedUnary expm1_ds([](double ds) { return std::expm1(ds); });
    for_each_entry(p.rows(), [&](Index n, Index j) {
      // s_p - s_q + (z_p^2 - z_q^2) / 2, with z_p - z_q = dmean / sigma_q - z_p expm1(s_p - s_q)
      const double s_p = p(n, d_ + j);
      const double s_q = q(n, d_ + j);
      const double z_p = (double(actions(n, j)) - double(p(n, j))) * inv_std_p(s_p);
      const double dz = (double(q(n, j)) - double(p(n, j))) * inv_std_q(s_q) - z_p * expm1_ds(s_p - s_q);
      out[n] += s_p - s_q + dz * (z_p - 0.5 * dz);
    });
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    CachedUnary inv_std([](double s) { return std::exp(-s); });
    for_each_entry(phi.rows(), [&](Index n, Index j) {
      const double inv_std_n = inv_std(phi(n, d_ + j));
      const double z = (double(actions(n, j)) - double(phi(n, j))) * inv_std_n;
      phi_bar(n, j) = static_cast<Scalar>(weight[n] * z * inv_std_n);
      phi_bar(n, d_ + j) = static_cast<Scalar>(weight[n] * (z * z - 1.0));
    });
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    CachedUnary inv_std_q([](double s) { return std::exp(-s); });
    CachedUnary scale_term(expm1_minus_x);
    for_each_entry(p.rows(), [&](Index n, Index j) {
      // s_q - s_p + (exp(2 s_p) + dmean^2) / (2 exp(2 s_q)) - 1/2, with x = 2 (s_p - s_q)
      const double s_q = q(n, d_ + j);
      const double x = 2.0 * (double(p(n, d_ + j)) - s_q);
      const double z = (double(p(n, j)) - double(q(n, j))) * inv_std_q(s_q);
      out[n] += 0.5 * (scale_term(x) + z * z);
    });
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    constexpr double half_log_2pi_e = 1.41893853320467274178;
    for_each_entry(phi.rows(), [&](Index n, Index j) { out[n] += double(phi(n, d_ + j)) + half_log_2pi_e; });
  }

  void entropy_vjp(ConstPanel<Scalar> /*phi*/, double weight, Panel<Scalar> phi_bar) const override {
    phi_bar.rightCols(d_).array() += static_cast<Scalar>(weight);
  }

  void fisher_metric(ConstPanel<Scalar> phi, Panel<Scalar> metric) const override {
    // M = diag(exp(-2 s), 2)
    CachedUnary precision([](double s) { return std::exp(-2.0 * s); });
    for_each_entry(phi.rows(), [&](Index n, Index j) {
      metric(n, j) = static_cast<Scalar>(precision(phi(n, d_ + j)));
      metric(n, d_ + j) = Scalar(2);
    });
  }

  void multiply_fisher(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    this->multiply_diagonal(metric, dphi, out);
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < d_; ++j) actions(n, j) = phi(n, j) + std::exp(phi(n, d_ + j)) * noise(n, j);
    }
  }

  void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const override { actions = phi.leftCols(d_); }

 private:
  // f(row, dimension), dimension by dimension: consecutive rows have the same state-independent log_std
  template <class Function>
  void for_each_entry(Index n_rows, Function&& f) const {
    for (Index j = 0; j < d_; ++j) {
      for (Index n = 0; n < n_rows; ++n) f(n, j);
    }
  }

  Index d_;
};

}  // namespace trpo_fast
