// FisherOperator: F v = mean_n J_n^T M_n J_n v + damping v. One of the places where a network meets a distribution.
//
//        vjp     multiply     jvp
//
// M_n is that of the distribution, and F the Hessian of the mean KL divergence at theta; or it is the outer product of
// the score of an action that was taken, of which the former is the mean: the empirical Fisher matrix.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../distributions/distribution.hpp"
#include "../network/gradient_sum.hpp"
#include "../network/linearization.hpp"
#include "../solvers/linear_operator.hpp"

namespace trpo_fast {

template <class Scalar>
class FisherOperator final : public LinearOperator {
 public:
  FisherOperator(const Distribution<Scalar>& distribution,
                 std::shared_ptr<const Linearization<Scalar>> at,  // the network at theta and normalised observations
                 double damping, int n_threads)
      : at_(std::move(at)),
        damping_(damping),
        n_threads_(n_threads),
        metric_(at_->num_rows(), at_->network().output_size()),
        v_packed_(Vector<Scalar>::Zero(at_->network().packed_size())),
        sum_(at_->network(), at_->num_rows()) {
    for_each_block({0, at_->num_rows()}, [&](Rows rows) {
      distribution.fisher_metric(at_->output(rows), metric_.panel(rows.begin, rows.size()));
    });
    multiply_metric_ = [&distribution](ConstPanel<Scalar> metric, ConstPanel<Scalar> dphi, Panel<Scalar> out) {
      distribution.multiply_fisher(metric, dphi, out);
    };
    make_workspaces();
  }

  // The empirical one
  FisherOperator(const Distribution<Scalar>& distribution, std::shared_ptr<const Linearization<Scalar>> at,
                 ConstMatrixView<Scalar> actions,  // (N, A), one for each row
                 double damping, int n_threads)
      : at_(std::move(at)),
        damping_(damping),
        n_threads_(n_threads),
        metric_(at_->num_rows(), at_->network().output_size()),
        multiply_metric_(multiply_outer_product),
        v_packed_(Vector<Scalar>::Zero(at_->network().packed_size())),
        sum_(at_->network(), at_->num_rows()) {
    check_actions(distribution, actions);
    const Vector<double> ones = Vector<double>::Ones(kBlockRows);
    for_each_block({0, at_->num_rows()}, [&](Rows rows) {
      distribution.log_prob_vjp(at_->output(rows), panel(block(actions, rows)), {ones.data(), rows.size()},
                                metric_.panel(rows.begin, rows.size()));
    });
    make_workspaces();
  }

  Index size() const override { return at_->network().num_params(); }
  Index num_rows() const { return at_->num_rows(); }

  void multiply(const double* v, double* out) override {
    const std::lock_guard<std::mutex> one_product_at_a_time(mutex_);
    at_->network().pack(v, v_packed_.data());
    sum_.run(n_threads_, out, [&](Rows slot, int thread, Scalar* packed_bar) {
      for_each_block(slot,
                     [&](Rows rows) { add_block(rows, workspaces_[static_cast<std::size_t>(thread)], packed_bar); });
    });
    const ConstVectorView<double> input(v, size());
    VectorView<double> result(out, size());
    result = result / double(num_rows()) + damping_ * input;
  }

 private:
  struct Workspace {
    explicit Workspace(const Network<Scalar>& network)
        : tangents(network), phi_bar(kBlockRows, network.output_size()) {}
    typename Linearization<Scalar>::Workspace tangents;
    PaddedMatrix<Scalar> phi_bar;
  };

  // packed_bar += J^T M(phi) J v over one block
  void add_block(Rows rows, Workspace& workspace, Scalar* packed_bar) {
    const Panel<Scalar> phi_bar = workspace.phi_bar.panel(0, rows.size());
    const Panel<Scalar> dphi = at_->jvp(rows, v_packed_.data(), workspace.tangents);  // J v
    multiply_metric_(metric(rows), view(dphi), phi_bar);                              // M J v
    at_->vjp(rows, phi_bar, packed_bar, workspace.tangents);                          // J^T M J v
  }

  // out[n] = score_n (score_n . dphi_n)
  static void multiply_outer_product(ConstPanel<Scalar> score, ConstPanel<Scalar> dphi, Panel<Scalar> out) {
    for (Index n = 0; n < score.rows(); ++n) {
      double product = 0.0;
      for (Index k = 0; k < score.cols(); ++k) product += double(score(n, k)) * double(dphi(n, k));
      for (Index k = 0; k < score.cols(); ++k) out(n, k) = score(n, k) * static_cast<Scalar>(product);
    }
  }

  void make_workspaces() {
    for (int thread = 0; thread < n_threads_; ++thread) workspaces_.emplace_back(at_->network());
  }

  ConstPanel<Scalar> metric(Rows rows) const { return metric_.panel(rows.begin, rows.size()); }

  std::shared_ptr<const Linearization<Scalar>> at_;
  double damping_;
  int n_threads_;
  PaddedMatrix<Scalar> metric_;  // (N, K)  what M consists of
  // out[n] = M_n dphi_n from metric (B, K) and dphi (B, K)
  std::function<void(ConstPanel<Scalar>, ConstPanel<Scalar>, Panel<Scalar>)> multiply_metric_;
  std::mutex mutex_;
  Vector<Scalar> v_packed_;
  GradientSum<Scalar> sum_;
  std::vector<Workspace> workspaces_;  // one a thread
};

}  // namespace trpo_fast
