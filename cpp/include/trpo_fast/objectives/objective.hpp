// PolicyObjective: L(theta') = mean_n l_n + ent_coef mean_n entropy_n over rows of states, and the KL divergence that
// bounds the step. Derived classes define l_n, an estimator of the return. One of the places where a network meets a
// distribution.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "../distributions/distribution.hpp"
#include "../network/evaluator.hpp"
#include "../network/gradient_sum.hpp"
#include "../network/linearization.hpp"
#include "../parallel/slot_tree.hpp"

namespace trpo_fast {

struct ObjectiveValue {
  double surrogate;  // L(theta')
  double mean_kl;    // mean_n KL(pi_theta(. | s_n) || pi_theta'(. | s_n))
  double max_kl;     // the largest of them
  double entropy;    // mean_n entropy of pi_theta'(. | s_n)
};

template <class Scalar>
class PolicyObjective {
 public:
  PolicyObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                  ConstVectorView<Scalar> theta,  // (P,)
                  const Inputs<Scalar>& inputs,   // N rows of normalised observations
                  double ent_coef, int n_threads)
      : distribution_(distribution),
        at_(std::make_shared<const Linearization<Scalar>>(network, theta.data(), inputs, n_threads)),
        ent_coef_(ent_coef),
        n_threads_(n_threads) {}
  virtual ~PolicyObjective() = default;

  // The network at theta and these rows, for a Fisher operator that shares the forward pass.
  const std::shared_ptr<const Linearization<Scalar>>& linearization() const { return at_; }
  const Distribution<Scalar>& distribution() const { return distribution_; }

  Index num_params() const { return at_->network().num_params(); }
  Index num_rows() const { return at_->num_rows(); }
  Index num_counted() const { return at_->num_counted(); }  // rows over which means are taken

  // out = grad L at theta' = theta
  void gradient(double* out) const {  // (P,)
    using Workspace = typename Linearization<Scalar>::Workspace;
    std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads_), Workspace(*at_));
    GradientSum<Scalar> sum(at_->network(), at_->blocks(), n_threads_);
    sum.run(n_threads_, out, [&](Rows rows, int thread, Scalar* packed_bar) {
      Workspace& workspace = workspaces[static_cast<std::size_t>(thread)];
      const Panel<Scalar> phi_bar = workspace.phi(rows.size());
      for_each_piece(rows, [&](Rows piece) {
        rows_vjp(piece, at_->output(piece), row_range(phi_bar, piece.begin - rows.begin, piece.size()));
      });
      if (ent_coef_ != 0.0) distribution_.entropy_vjp(at_->output(rows), ent_coef_ / double(num_counted()), phi_bar);
      at_->clear_padding(rows, phi_bar);
      at_->load(rows, workspace).vjp(phi_bar, packed_bar);
    });
  }

  // What the line search reads at theta', in one pass. Non-finite values are passed on.
  ObjectiveValue evaluate(const Scalar* theta_new) const {  // (P,)
    Evaluator<Scalar> evaluator(at_->network());
    evaluator.set_theta(theta_new);
    using Workspace = typename Evaluator<Scalar>::Workspace;
    const RowBlocks& blocks = at_->blocks();
    std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads_),
                                      Workspace(at_->network(), blocks.block_rows()));
    std::vector<Sums> sums(static_cast<std::size_t>(blocks.num_slots()));
    for_each_slot(blocks, 0, blocks.num_slots(), n_threads_, [&](Index slot, Rows slot_rows, int thread) {
      blocks.for_each_block(slot_rows, [&](Rows rows) {
        const ConstPanel<Scalar> q = evaluator.forward(at_->inputs(rows), workspaces[static_cast<std::size_t>(thread)]);
        for_each_piece(rows, [&](Rows piece) {
          at_->for_each_counted(piece, [&](Rows run) {
            add_rows(run, at_->output(run), row_range(q, run.begin - rows.begin, run.size()),
                     sums[static_cast<std::size_t>(slot)]);
          });
        });
      });
    });
    const Sums total = add_up_slots(sums);
    const double n = double(num_counted());
    const double entropy = total.entropy / n;
    const double bonus = ent_coef_ != 0.0 ? ent_coef_ * entropy : 0.0;
    return {total.l / n + bonus, total.kl / n, total.max_kl, entropy};
  }

 protected:
  // Sums of l_n, KL and entropy over some rows, and the largest KL. A NaN in any of them stays a NaN.
  struct Sums {
    double l = 0.0;
    double kl = 0.0;
    double max_kl = 0.0;
    double entropy = 0.0;

    Sums& operator+=(const Sums& other) {
      l += other.l;
      kl += other.kl;
      max_kl = other.max_kl > max_kl || std::isnan(other.max_kl) ? other.max_kl : max_kl;
      entropy += other.entropy;
      return *this;
    }
  };

  // phi_bar[n] = d (l_n / num_counted) / d phi_n at theta' = theta, for up to kBlockRows rows
  virtual void rows_vjp(Rows rows,
                        ConstPanel<Scalar> phi,  // (B, K)
                        Panel<Scalar> phi_bar    // (B, K)
  ) const = 0;

  // sum += what up to kBlockRows rows with parameters p at theta and q at theta' add to it
  virtual void add_rows(Rows rows,
                        ConstPanel<Scalar> p,  // (B, K)
                        ConstPanel<Scalar> q,  // (B, K)
                        Sums& sum) const = 0;

 private:
  const Distribution<Scalar>& distribution_;
  std::shared_ptr<const Linearization<Scalar>> at_;
  double ent_coef_;
  int n_threads_;
};

}  // namespace trpo_fast
