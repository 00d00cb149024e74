// Bernoulli: A independent bits, P(a_j = 1) = sigmoid(phi_j), phi = logits.
#pragma once

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
    // as in Categorical: e_1 = (1 - p) d for a set bit, e_0 = -p d for a clear one, less the KL divergence
    for (Index n = 0; n < p.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        const double d = double(q(n, j)) - double(p(n, j));
        const double e = actions(n, j) > 0 ? sigmoid(-double(p(n, j))) * d : -sigmoid(p(n, j)) * d;
        out[n] += e - bit_kl(p(n, j), q(n, j));
      }
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
      for (Index j = 0; j < n_bits_; ++j) out[n] += bit_kl(p(n, j), q(n, j));
    }
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    // H = p softplus(-z) + (1 - p) softplus(z)
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        const double z = phi(n, j);
        out[n] += sigmoid(z) * softplus(-z) + sigmoid(-z) * softplus(z);
      }
    }
  }

  void multiply_fisher(ConstPanel<Scalar> phi, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    // M = diag(p (1 - p))
    for (Index n = 0; n < phi.rows(); ++n) {
      for (Index j = 0; j < n_bits_; ++j) {
        const double z = phi(n, j);
        out(n, j) = static_cast<Scalar>(sigmoid(z) * sigmoid(-z)) * dphi(n, j);
      }
    }
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
  // The two-outcome case of Categorical: e_1 = (1 - p) d and e_0 = -p d, with d = z_q - z_p.
  static double bit_kl(double z_p, double z_q) {
    const double d = z_q - z_p;
    const double p = sigmoid(z_p);
    const double sum = tilted_term(-softplus(-z_p), sigmoid(-z_p) * d) + tilted_term(-softplus(z_p), -p * d);
    // too far apart for exp, and for cancellation
    return std::isinf(sum) ? softplus(z_q) - softplus(z_p) - p * d : std::log1p(sum);
  }

  Index n_bits_;
};

}  // namespace trpo_fast
