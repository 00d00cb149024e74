// Bernoulli: A independent bits, P(a_j = 1) = sigmoid(phi_j), phi = logits.
#pragma once

#include <algorithm>
#include <cmath>

#include "distribution.hpp"
#include "scalar_math.hpp"

namespace trpo_fast {

template <class Scalar>
class Bernoulli final : public Distribution<Scalar> {
 public:
  explicit Bernoulli(Index num_bits) : n_bits_(num_bits) {}

  Index num_dist_params() const override { return n_bits_; }
  Index action_size() const override { return n_bits_; }

  Index first_invalid_action(ConstPanel<Scalar> actions) const override {
    for (Index n = 0; n < actions.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        if (actions(n, j) != Scalar(0) && actions(n, j) != Scalar(1)) return n;
      }
    }
    return -1;
  }

  void log_prob(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, VectorView<double> out) const override {
    // log p = -softplus(-z) for a set bit, -softplus(z) for a clear one
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) out[n] -= softplus(actions(n, j) > 0 ? -double(phi(n, j)) : phi(n, j));
    }
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    for (Index n = 0; n < p.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) out[n] += LogitShift(p(n, j), q(n, j)).log_ratio(actions(n, j) > 0);
    }
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        phi_bar(n, j) = static_cast<Scalar>(weight[n] * (double(actions(n, j)) - sigmoid(phi(n, j))));
      }
    }
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    for (Index n = 0; n < p.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) out[n] += LogitShift(p(n, j), q(n, j)).kl;
    }
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) out[n] += bit_entropy(phi(n, j));
    }
  }

  void compare(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions, VectorView<double> log_ratio_out,
               VectorView<double> kl_out, VectorView<double> entropy_out) const override {
    for (Index n = 0; n < p.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        const LogitShift shift(p(n, j), q(n, j));
        log_ratio_out[n] += shift.log_ratio(actions(n, j) > 0);
        kl_out[n] += shift.kl;
        entropy_out[n] += bit_entropy(q(n, j));
      }
    }
  }

  void entropy_vjp(ConstPanel<Scalar> phi, double weight, Panel<Scalar> phi_bar) const override {
    // dH / dz = -z p (1 - p)
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        phi_bar(n, j) -= static_cast<Scalar>(weight * double(phi(n, j)) * variance(phi(n, j)));
      }
    }
  }

  void fisher_metric(ConstPanel<Scalar> phi, Panel<Scalar> metric) const override {
    // M = diag(p (1 - p))
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        metric(n, j) = static_cast<Scalar>(variance(phi(n, j)));
      }
    }
  }

  void multiply_fisher(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    this->multiply_diagonal(metric, dphi, out);
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        actions(n, j) = normal_cdf(noise(n, j)) < sigmoid(phi(n, j)) ? Scalar(1) : Scalar(0);
      }
    }
  }

  void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const override {
    actions.array() = (phi.array() > Scalar(0)).template cast<Scalar>();
  }

 private:
  // The two-outcome case of Categorical's: the logit of a bit changes from z_p to z_q = z_p + d. Relative to the mean,
  // that is e_1 = (1 - p) d for a set bit and e_0 = -p d for a clear one.
  struct LogitShift {
    double e_1;
    double e_0;
    double kl;

    LogitShift(double z_p, double z_q) {
      const double d = z_q - z_p;
      const double w_1 = std::exp((std::min)(z_p, 0.0));
      const double w_0 = std::exp((std::min)(-z_p, 0.0));
      const double w = w_1 + w_0;
      e_1 = w_0 / w * d;
      e_0 = -w_1 / w * d;
      const double sum = exp_kl_term((std::min)(z_p, 0.0), w_1, e_1) + exp_kl_term((std::min)(-z_p, 0.0), w_0, e_0);
      // If exp overflows, the difference is so large that nothing cancels.
      kl = std::isinf(sum) ? softplus(z_q) - softplus(z_p) + e_0 : std::log1p(sum / w);
    }

    double log_ratio(bool set) const { return (set ? e_1 : e_0) - kl; }
  };

  // p (1 - p)
  static double variance(double z) {
    const double tail = std::exp(-std::abs(z));
    return tail / ((1.0 + tail) * (1.0 + tail));
  }

  // H = p softplus(-z) + (1 - p) softplus(z)
  static double bit_entropy(double z) {
    const double tail = std::exp(-std::abs(z));
    return std::log1p(tail) + std::abs(z) * tail / (1.0 + tail);
  }

  Index n_bits_;
};

}  // namespace trpo_fast
