// Categorical: a in {0, ..., n-1} with p = softmax(phi), phi = logits.
#pragma once

#include <cmath>

#include "distribution.hpp"
#include "scalar_math.hpp"

namespace trpo_fast {

template <class Scalar>
class Categorical final : public Distribution<Scalar> {
 public:
  explicit Categorical(Index num_choices) : n_choices_(num_choices) {}

  Index num_dist_params() const override { return n_choices_; }
  Index action_size() const override { return 1; }

  Index first_invalid_action(ConstPanel<Scalar> actions) const override {
    for (Index n = 0; n < actions.rows(); ++n) {
      const double a = actions(n, 0);
      if (!(a >= 0 && a < double(n_choices_) && a == std::floor(a))) return n;
    }
    return -1;
  }

  void log_prob(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, VectorView<double> out) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      out[n] += log_softmax(phi, n)(phi(n, static_cast<Index>(actions(n, 0))));
    }
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    // log q_a / p_a = d_a - log sum_i p_i exp(d_i) = e_a - KL(p || q)
    for (Index n = 0; n < p.rows(); ++n) {
      const Index a = static_cast<Index>(actions(n, 0));
      const Tilt tilt = row_tilt(p, q, n);
      out[n] += tilt.log_q.centred(q(n, a)) - tilt.log_p.centred(p(n, a)) - tilt.mean - tilt.kl;
    }
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    // d log p_a / d z = e_a - p
    for (Index n = 0; n < phi.rows(); ++n) {
      const LogSoftmax log_p = log_softmax(phi, n);
      const Index a = static_cast<Index>(actions(n, 0));
      for (Index i = 0; i < n_choices_; ++i) {
        const double p = std::exp(log_p(phi(n, i)));
        phi_bar(n, i) = static_cast<Scalar>(weight[n] * ((i == a ? 1.0 : 0.0) - p));
      }
    }
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    for (Index n = 0; n < p.rows(); ++n) out[n] += row_tilt(p, q, n).kl;
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      const LogSoftmax log_p = log_softmax(phi, n);
      for (Index i = 0; i < n_choices_; ++i) {
        const double log_p_i = log_p(phi(n, i));
        out[n] -= std::exp(log_p_i) * log_p_i;
      }
    }
  }

  void multiply_fisher(ConstPanel<Scalar> phi, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    // M dz = p * (dz - p.dz)
    for (Index n = 0; n < phi.rows(); ++n) {
      const LogSoftmax log_p = log_softmax(phi, n);
      double mean = 0.0;
      for (Index i = 0; i < n_choices_; ++i) {
        const double p = std::exp(log_p(phi(n, i)));
        mean += p * double(dphi(n, i));
        out(n, i) = static_cast<Scalar>(p);
      }
      for (Index i = 0; i < n_choices_; ++i) out(n, i) *= static_cast<Scalar>(double(dphi(n, i)) - mean);
    }
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    // the first i whose cumulative probability exceeds u
    for (Index n = 0; n < phi.rows(); ++n) {
      const LogSoftmax log_p = log_softmax(phi, n);
      const double u = normal_cdf(noise(n, 0));
      double cumulative = 0.0;
      Index choice = 0;
      for (Index i = 0; i < n_choices_; ++i) {
        const double p = std::exp(log_p(phi(n, i)));
        if (p > 0.0) choice = i;  // rounding may leave the sum below u: the last possible choice stands
        cumulative += p;
        if (cumulative > u) break;
      }
      actions(n, 0) = static_cast<Scalar>(choice);
    }
  }

  void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      Index best = 0;
      phi.row(n).maxCoeff(&best);
      actions(n, 0) = static_cast<Scalar>(best);
    }
  }

 private:
  // log p_i = (z_i - max z) - log sum_j exp(z_j - max z): in this order, huge logits keep their differences.
  struct LogSoftmax {
    double top;
    double log_sum;
    double centred(double z) const { return z - top; }
    double operator()(double z) const { return centred(z) - log_sum; }
  };

  LogSoftmax log_softmax(ConstPanel<Scalar> phi, Index n) const {
    const double top = phi.row(n).maxCoeff();
    double sum = 0.0;
    for (Index i = 0; i < n_choices_; ++i) sum += std::exp(double(phi(n, i)) - top);
    return {top, std::log(sum)};
  }

  struct Tilt {
    LogSoftmax log_p;
    LogSoftmax log_q;
    double mean;  // sum_i p_i d_i, with d_i the change of the centred logit from p to q
    double kl;    // KL(p || q)
  };

  // With e = d - sum_i p_i d_i:  KL(p || q) = log sum_i p_i exp(e_i)
  //   = log1p(sum_i p_i (expm1(e_i) - e_i)),  since sum_i p_i e_i = 0; every term is >= 0.
  Tilt row_tilt(ConstPanel<Scalar> p, ConstPanel<Scalar> q, Index n) const {
    Tilt tilt{log_softmax(p, n), log_softmax(q, n), 0.0, 0.0};
    const auto log_p = [&](Index i) { return tilt.log_p(p(n, i)); };
    const auto change = [&](Index i) { return tilt.log_q.centred(q(n, i)) - tilt.log_p.centred(p(n, i)); };
    for (Index i = 0; i < n_choices_; ++i) tilt.mean += std::exp(log_p(i)) * change(i);
    double sum = 0.0;
    for (Index i = 0; i < n_choices_; ++i) sum += tilted_term(log_p(i), change(i) - tilt.mean);
    // too far apart for exp, and for cancellation: sum_i p_i (log p_i - log q_i)
    tilt.kl = std::isinf(sum) ? tilt.log_q.log_sum - tilt.log_p.log_sum - tilt.mean : std::log1p(sum);
    return tilt;
  }

  Index n_choices_;
};

}  // namespace trpo_fast
