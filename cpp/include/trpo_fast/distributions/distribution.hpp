// Distribution: pi(a | phi) over rows of distribution parameters. It owns its metric M(phi), the Fisher matrix with
// respect to phi, and knows nothing of networks or theta.
#pragma once

#include <stdexcept>
#include <string>

#include "../types.hpp"

namespace trpo_fast {

// Row functions of value type (log_prob, log_ratio, kl_divergence, entropy, compare) are evaluated in double from the
// stored phi and ADD to their output, so that a product of distributions is a sum over its factors.
template <class Scalar>
class Distribution {
 public:
  virtual ~Distribution() = default;

  virtual Index num_dist_params() const = 0;  // K
  virtual Index action_size() const = 0;      // A: columns of an action row, and of a noise row

  // The first row that is not an action of this distribution, or -1. Every real-valued action is accepted.
  virtual Index first_invalid_action(ConstPanel<Scalar> actions) const = 0;  // (B, A)

  // out[n] += log pi(a_n | phi_n)
  virtual void log_prob(ConstPanel<Scalar> phi,      // (B, K)
                        ConstPanel<Scalar> actions,  // (B, A)
                        VectorView<double> out       // (B,)
  ) const = 0;

  // out[n] += log pi(a_n | q_n) - log pi(a_n | p_n), without cancellation; exactly 0 at p_n = q_n
  virtual void log_ratio(ConstPanel<Scalar> p,        // (B, K)
                         ConstPanel<Scalar> q,        // (B, K)
                         ConstPanel<Scalar> actions,  // (B, A)
                         VectorView<double> out       // (B,)
  ) const = 0;

  // phi_bar[n] = weight[n] * d log pi(a_n | phi_n) / d phi_n      (the score, weighted)
  virtual void log_prob_vjp(ConstPanel<Scalar> phi,          // (B, K)
                            ConstPanel<Scalar> actions,      // (B, A)
                            ConstVectorView<double> weight,  // (B,)
                            Panel<Scalar> phi_bar            // (B, K)
  ) const = 0;

  // out[n] += KL(pi(. | p_n) || pi(. | q_n)), in closed form, without cancellation; exactly 0 at p_n = q_n
  virtual void kl_divergence(ConstPanel<Scalar> p,   // (B, K)
                             ConstPanel<Scalar> q,   // (B, K)
                             VectorView<double> out  // (B,)
  ) const = 0;

  // out[n] += entropy of pi(. | phi_n), in nats
  virtual void entropy(ConstPanel<Scalar> phi, VectorView<double> out) const = 0;

  // phi_bar[n] += weight * d entropy(phi_n) / d phi_n
  virtual void entropy_vjp(ConstPanel<Scalar> phi,  // (B, K)
                           double weight,
                           Panel<Scalar> phi_bar  // (B, K)
  ) const = 0;

  // What the line search reads of a row whose parameters change from p_n to q_n: log_ratio, kl_divergence, and entropy
  // of q. One pass where these share work.
  virtual void compare(ConstPanel<Scalar> p,              // (B, K)
                       ConstPanel<Scalar> q,              // (B, K)
                       ConstPanel<Scalar> actions,        // (B, A)
                       VectorView<double> log_ratio_out,  // (B,)
                       VectorView<double> kl_out,         // (B,)
                       VectorView<double> entropy_out     // (B,)
  ) const {
    log_ratio(p, q, actions, log_ratio_out);
    kl_divergence(p, q, kl_out);
    entropy(q, entropy_out);
  }

  // metric[n] = what multiply_fisher reads of M(phi_n): functions of phi that are computed once for many products
  virtual void fisher_metric(ConstPanel<Scalar> phi,  // (B, K)
                             Panel<Scalar> metric     // (B, K)
  ) const = 0;

  // out[n] = M(phi_n) dphi_n
  virtual void multiply_fisher(ConstPanel<Scalar> metric,  // (B, K)
                               ConstPanel<Scalar> dphi,    // (B, K)
                               Panel<Scalar> out           // (B, K)
  ) const = 0;

  // actions[n] ~ pi(. | phi_n), as a function of standard normal noise
  virtual void sample(ConstPanel<Scalar> phi,    // (B, K)
                      ConstPanel<Scalar> noise,  // (B, A)
                      Panel<Scalar> actions      // (B, A)
  ) const = 0;

  // actions[n] = the most probable action of pi(. | phi_n)
  virtual void mode(ConstPanel<Scalar> phi, Panel<Scalar> actions) const = 0;

 protected:
  // multiply_fisher where M = diag(metric)
  static void multiply_diagonal(ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) {
    for (Index n = 0; n < metric.rows(); ++n) {
      for (Index k = 0; k < metric.cols(); ++k) out(n, k) = metric(n, k) * dphi(n, k);
    }
  }
};

// Throws if a row is not an action of the distribution.
template <class Scalar>
void check_actions(const Distribution<Scalar>& distribution, ConstMatrixView<Scalar> actions) {  // (N, A)
  const Index row = distribution.first_invalid_action(panel(actions));
  if (row >= 0) {
    throw std::invalid_argument("actions: expected an action of the action space, got row " + std::to_string(row) +
                                " outside it");
  }
}

}  // namespace trpo_fast
