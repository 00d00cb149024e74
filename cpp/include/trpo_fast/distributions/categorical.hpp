// Categorical: a in {0, ..., n-1} with p = softmax(phi), phi = logits. A logit of -Inf is an impossible choice. Two
// rows that are compared have the same impossible choices, and at least one possible one.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

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
      const Softmax p = softmax(phi, n);
      out[n] += p.centred(phi(n, static_cast<Index>(actions(n, 0)))) - std::log(p.sum);
    }
  }

  void log_ratio(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions,
                 VectorView<double> out) const override {
    for (Index n = 0; n < p.rows(); ++n) {
      const Index a = static_cast<Index>(actions(n, 0));
      out[n] += logit_shift(p, q, n).log_ratio(p(n, a), q(n, a));
    }
  }

  void log_prob_vjp(ConstPanel<Scalar> phi, ConstPanel<Scalar> actions, ConstVectorView<double> weight,
                    Panel<Scalar> phi_bar) const override {
    // d log p_a / d z = e_a - p
    for (Index n = 0; n < phi.rows(); ++n) {
      const Softmax p = softmax(phi, n);
      const Index a = static_cast<Index>(actions(n, 0));
      for (Index i = 0; i < n_choices_; ++i) {
        phi_bar(n, i) = static_cast<Scalar>(weight[n] * ((i == a ? 1.0 : 0.0) - p(phi(n, i))));
      }
    }
  }

  void kl_divergence(ConstPanel<Scalar> p, ConstPanel<Scalar> q, VectorView<double> out) const override {
    for (Index n = 0; n < p.rows(); ++n) out[n] += logit_shift(p, q, n).kl;
  }

  void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const override {
    for (Index n = 0; n < phi.rows(); ++n) out[n] += softmax(phi, n).entropy();
  }

  void compare(ConstPanel<Scalar> p, ConstPanel<Scalar> q, ConstPanel<Scalar> actions, VectorView<double> log_ratio_out,
               VectorView<double> kl_out, VectorView<double> entropy_out) const override {
    for (Index n = 0; n < p.rows(); ++n) {
      const LogitShift shift = logit_shift(p, q, n);
      const Index a = static_cast<Index>(actions(n, 0));
      log_ratio_out[n] += shift.log_ratio(p(n, a), q(n, a));
      kl_out[n] += shift.kl;
      entropy_out[n] += shift.q.entropy();
    }
  }

  void entropy_vjp(ConstPanel<Scalar> phi, double weight, Panel<Scalar> phi_bar) const override {
    // dH / dz_i = -p_i (log p_i + H)
    for (Index n = 0; n < phi.rows(); ++n) {
      const Softmax p = softmax(phi, n);
      const double shift = p.entropy() - std::log(p.sum);
      for (Index i = 0; i < n_choices_; ++i) {
        if (is_impossible(phi(n, i))) continue;
        phi_bar(n, i) -= static_cast<Scalar>(weight * p(phi(n, i)) * (p.centred(phi(n, i)) + shift));
      }
    }
  }

  void fisher_metric(ConstPanel<Scalar> phi, Panel<Scalar> metric) const override {
    for (Index n = 0; n < phi.rows(); ++n) {
      const Softmax p = softmax(phi, n);
      for (Index i = 0; i < n_choices_; ++i) metric(n, i) = static_cast<Scalar>(p(phi(n, i)));
    }
  }

  void multiply_fisher(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) const override {
    // M dz = p * (dz - p.dz); divided by the sum of the rounded p, so that a common shift of dz gives 0
    for (Index n = 0; n < metric.rows(); ++n) {
      double sum = 0.0;
      double mean = 0.0;
      for (Index i = 0; i < n_choices_; ++i) {
        sum += double(metric(n, i));
        mean += double(metric(n, i)) * double(dphi(n, i));
      }
      mean /= sum;
      for (Index i = 0; i < n_choices_; ++i) out(n, i) = metric(n, i) * static_cast<Scalar>(double(dphi(n, i)) - mean);
    }
  }

  void sample(ConstPanel<Scalar> phi, ConstPanel<Scalar> noise, Panel<Scalar> actions) const override {
    // the first i whose cumulative probability exceeds u
    for (Index n = 0; n < phi.rows(); ++n) {
      const Softmax p = softmax(phi, n);
      const double u = normal_cdf(noise(n, 0)) * p.sum;
      double cumulative = 0.0;
      Index choice = 0;
      for (Index i = 0; i < n_choices_; ++i) {
        const double w = p.weight(phi(n, i));
        if (w > 0.0) choice = i;  // rounding may leave the sum at u: then the last possible choice is taken
        cumulative += w;
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
  static bool is_impossible(double z) { return z == -std::numeric_limits<double>::infinity(); }

  // p_i = w_i / sum_j w_j with w_i = exp(z_i - max z): large logits keep their differences, and no weight overflows.
  struct Softmax {
    double top;
    double sum = 0.0;     // sum_i w_i
    double moment = 0.0;  // sum_i w_i log w_i

    double centred(double z) const { return z - top; }
    double weight(double z) const { return std::exp(centred(z)); }
    double operator()(double z) const { return weight(z) / sum; }
    double entropy() const { return std::log(sum) - moment / sum; }  // both terms are >= 0
    // adds an outcome of logit z and returns its weight
    double add(double z) {
      const double w = weight(z);
      sum += w;
      if (!is_impossible(z)) moment += w * centred(z);
      return w;
    }
  };

  Softmax softmax(ConstPanel<Scalar> phi, Index n) const {
    Softmax p{largest(phi, n)};
    for (Index i = 0; i < n_choices_; ++i) p.add(phi(n, i));
    return p;
  }

  double largest(ConstPanel<Scalar> phi, Index n) const {
    Scalar z = phi(n, 0);
    for (Index i = 1; i < n_choices_; ++i) z = (std::max)(z, phi(n, i));
    return z;
  }

  // A row whose logits change from those of p to those of q
  struct LogitShift {
    Softmax p;
    Softmax q;
    double mean = 0.0;  // sum_i p_i d_i, with d_i the change of the centred logit from p to q
    double kl = 0.0;    // KL(p || q)

    double change(double z_p, double z_q) const { return q.centred(z_q) - p.centred(z_p); }
    // log q_a / p_a = d_a - log sum_i p_i exp(d_i) = e_a - KL(p || q)
    double log_ratio(double z_p, double z_q) const { return change(z_p, z_q) - mean - kl; }
  };

  // With e = d - sum_i p_i d_i:  KL(p || q) = log sum_i p_i exp(e_i)
  //   = log1p(sum_i p_i (expm1(e_i) - e_i)),  since sum_i p_i e_i = 0; every term is >= 0.
  LogitShift logit_shift(ConstPanel<Scalar> p, ConstPanel<Scalar> q, Index n) const {
    LogitShift shift{{largest(p, n)}, {largest(q, n)}};
    for (Index i = 0; i < n_choices_; ++i) {
      const double w = shift.p.add(p(n, i));
      if (!is_impossible(p(n, i))) shift.mean += w * shift.change(p(n, i), q(n, i));
      shift.q.add(q(n, i));
    }
    shift.mean /= shift.p.sum;
    double sum = 0.0;
    for (Index i = 0; i < n_choices_; ++i) {
      if (is_impossible(p(n, i))) continue;
      const double log_w = shift.p.centred(p(n, i));
      sum += exp_kl_term(log_w, std::exp(log_w), shift.change(p(n, i), q(n, i)) - shift.mean);
    }
    // If exp overflows, the difference is so large that nothing cancels: sum_i p_i (log p_i - log q_i).
    shift.kl =
        std::isinf(sum) ? std::log(shift.q.sum) - std::log(shift.p.sum) - shift.mean : std::log1p(sum / shift.p.sum);
    return shift;
  }

  Index n_choices_;
};

}  // namespace trpo_fast
