// SurrogateObjective: L(theta') = mean_n ratio_n A_n + ent_coef mean_n entropy_n, with
// ratio_n = pi(a_n | s_n; theta') / pi(a_n | s_n; theta) (Schulman et al. 2015, Eq. 14, and an entropy bonus), and the
// KL divergence that bounds it. One of the places where a network meets a distribution.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "../distributions/distribution.hpp"
#include "../network/evaluator.hpp"
#include "../network/gradient_sum.hpp"
#include "../network/linearization.hpp"

namespace trpo_fast {

struct SurrogateValue {
  double surrogate;  // L(theta')
  double mean_kl;    // mean_n KL(pi_theta(. | s_n) || pi_theta'(. | s_n))
  double max_kl;     // the largest of them
  double entropy;    // mean_n entropy of pi_theta'(. | s_n)
};

// A log-ratio is clamped here before exp() unless the advantage is negative: the clamped surrogate is a lower bound of
// the true one, so that an improvement of it is one. Where it is negative an overflow is -Inf, and is rejected.
constexpr double kMaxLogRatio = 20.0;

template <class Scalar>
class SurrogateObjective {
 public:
  SurrogateObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     ConstVectorView<Scalar> theta,       // (P,)
                     ConstMatrixView<Scalar> x,           // (N, input_size), normalised observations
                     ConstMatrixView<Scalar> actions,     // (N, A)
                     ConstVectorView<double> advantages,  // (N,)
                     double ent_coef, int n_threads)
      : distribution_(distribution),
        at_(std::make_shared<const Linearization<Scalar>>(network, theta.data(), x, n_threads)),
        actions_(actions),
        advantages_(advantages),
        ent_coef_(ent_coef),
        n_threads_(n_threads) {
    check_actions(distribution, actions);
  }

  // The network at theta and x, for a Fisher operator at the same place.
  const std::shared_ptr<const Linearization<Scalar>>& linearization() const { return at_; }
  const Distribution<Scalar>& distribution() const { return distribution_; }

  Index num_params() const { return at_->network().num_params(); }
  Index num_rows() const { return at_->num_rows(); }

  // out = grad L at theta' = theta: the mean of advantage times score, and of the entropy's gradient
  void gradient(double* out) const {  // (P,)
    using Workspace = typename Linearization<Scalar>::Workspace;
    std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads_), Workspace(at_->network()));
    const Vector<double> weight = advantages_ / double(num_rows());
    GradientSum<Scalar> sum(at_->network(), num_rows());
    sum.run(n_threads_, out, [&](Rows slot, int thread, Scalar* packed_bar) {
      Workspace& workspace = workspaces[static_cast<std::size_t>(thread)];
      for_each_block(slot, [&](Rows rows) {
        const Panel<Scalar> phi_bar = workspace.phi(rows.size());
        distribution_.log_prob_vjp(at_->output(rows), action_rows(rows), {weight.data() + rows.begin, rows.size()},
                                   phi_bar);
        if (ent_coef_ != 0.0) distribution_.entropy_vjp(at_->output(rows), ent_coef_ / double(num_rows()), phi_bar);
        at_->vjp(rows, phi_bar, packed_bar, workspace);
      });
    });
  }

  // Everything the line search asks of theta', in one pass. Non-finite values are passed on, not repaired.
  SurrogateValue evaluate(const Scalar* theta_new) const {  // (P,)
    Evaluator<Scalar> evaluator(at_->network());
    evaluator.set_theta(theta_new);
    using Workspace = typename Evaluator<Scalar>::Workspace;
    std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads_), Workspace(at_->network(), kBlockRows));
    const Slots slots(num_rows());
    std::vector<SurrogateValue> sums(static_cast<std::size_t>(slots.count()), {0.0, 0.0, 0.0, 0.0});
    for_each_slot(slots, 0, slots.count(), n_threads_, [&](Index slot, Rows slot_rows, int thread) {
      for_each_block(slot_rows, [&](Rows rows) {
        const ConstPanel<Scalar> q = evaluator.forward(at_->input(rows), workspaces[static_cast<std::size_t>(thread)]);
        add_block(rows, q, sums[static_cast<std::size_t>(slot)]);
      });
    });
    SurrogateValue total{0.0, 0.0, 0.0, 0.0};
    for (const SurrogateValue& sum : sums) {
      total.surrogate += sum.surrogate;
      total.mean_kl += sum.mean_kl;
      total.max_kl = larger(total.max_kl, sum.max_kl);
      total.entropy += sum.entropy;
    }
    const double n = double(num_rows());
    const double entropy = total.entropy / n;
    const double bonus = ent_coef_ != 0.0 ? ent_coef_ * entropy : 0.0;
    return {total.surrogate / n + bonus, total.mean_kl / n, total.max_kl, entropy};
  }

 private:
  // a NaN stays one
  static double larger(double a, double b) { return b > a || std::isnan(b) ? b : a; }

  ConstPanel<Scalar> action_rows(Rows rows) const { return panel(block(view(actions_), rows)); }

  // What the rows of a block with parameters q at theta' add to the sums
  void add_block(Rows rows, ConstPanel<Scalar> q, SurrogateValue& sum) const {
    double terms[3][kBlockRows] = {};
    VectorView<double> log_ratio(terms[0], rows.size());
    VectorView<double> kl(terms[1], rows.size());
    VectorView<double> entropy(terms[2], rows.size());
    distribution_.compare(at_->output(rows), q, action_rows(rows), log_ratio, kl, entropy);
    for (Index i = 0; i < rows.size(); ++i) {
      const double advantage = advantages_[rows.begin + i];
      const bool clamped = !(advantage < 0.0) && log_ratio[i] > kMaxLogRatio;
      sum.surrogate += std::exp(clamped ? kMaxLogRatio : log_ratio[i]) * advantage;
      sum.mean_kl += kl[i];
      sum.max_kl = larger(sum.max_kl, kl[i]);
      sum.entropy += entropy[i];
    }
  }

  const Distribution<Scalar>& distribution_;
  std::shared_ptr<const Linearization<Scalar>> at_;
  RowMatrix<Scalar> actions_;
  Vector<double> advantages_;
  double ent_coef_;
  int n_threads_;
};

}  // namespace trpo_fast
