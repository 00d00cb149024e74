// FisherOperator: F v = mean_n J_n^T M(phi_n) J_n v + damping v, the Hessian of the mean KL divergence at theta.
// One of the two places where a network meets a distribution.
//
//        vjp     multiply_fisher     jvp
#pragma once

#include <mutex>

#include "../distributions/distribution.hpp"
#include "../network/linearization.hpp"
#include "../solvers/linear_operator.hpp"

namespace trpo_fast {

template <class Scalar>
class FisherOperator final : public LinearOperator {
 public:
  FisherOperator(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                 ConstVectorView<Scalar> theta,  // (P,)
                 ConstMatrixView<Scalar> x,      // (N, input_size), normalised observations
                 double damping)
      : distribution_(distribution),
        at_(network, theta, x),
        metric_(x.rows(), network.output_size()),
        damping_(damping),
        workspace_(network),
        v_(network.num_params()),
        theta_bar_(network.num_params()),
        dphi_(kBlockRows, network.output_size()),
        phi_bar_(kBlockRows, network.output_size()) {
    const Rows all{0, num_rows()};
    distribution.fisher_metric(panel(block(at_.output(), all)), panel(block(metric_, all)));
  }

  Index size() const override { return v_.size(); }
  Index num_rows() const { return at_.num_rows(); }

  // Products are formed in Scalar within a block of rows and added up in double across blocks.
  void multiply(const double* v, double* out) override {
    const std::lock_guard<std::mutex> one_product_at_a_time(mutex_);
    const ConstVectorView<double> input(v, size());
    VectorView<double> result(out, size());
    v_ = input.template cast<Scalar>();
    result.setZero();
    for_each_block(num_rows(), [&](Rows rows) {
      multiply_block(rows);
      result += theta_bar_.template cast<double>();
    });
    result = result / double(num_rows()) + damping_ * input;
  }

 private:
  // theta_bar = J^T M(phi) J v over one block
  void multiply_block(Rows rows) {
    MatrixView<Scalar> dphi = block(dphi_, {0, rows.size()});
    MatrixView<Scalar> phi_bar = block(phi_bar_, {0, rows.size()});
    theta_bar_.setZero();
    at_.jvp(rows, v_.data(), dphi, workspace_);                                                           // J v
    distribution_.multiply_fisher(panel(view(block(metric_, rows))), panel(view(dphi)), panel(phi_bar));  // M J v
    at_.vjp(rows, phi_bar, theta_bar_.data(), workspace_);                                                // J^T M J v
  }

  const Distribution<Scalar>& distribution_;
  Linearization<Scalar> at_;
  RowMatrix<Scalar> metric_;  // (N, K)  what M(phi) needs
  double damping_;
  std::mutex mutex_;
  typename Linearization<Scalar>::Workspace workspace_;
  Vector<Scalar> v_;
  Vector<Scalar> theta_bar_;
  RowMatrix<Scalar> dphi_;
  RowMatrix<Scalar> phi_bar_;
};

}  // namespace trpo_fast
