// GaussNewtonOperator: A v = mean_n J_n^T M_n J_n v + damping v, with the network's Jacobian J_n and a metric M_n (K,
// K) of its output in every row. Derived classes define M_n.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../network/gradient_sum.hpp"
#include "../network/linearization.hpp"
#include "../parallel/fork_safe_mutex.hpp"
#include "../solvers/linear_operator.hpp"

namespace trpo_fast {

template <class Scalar>
class GaussNewtonOperator : public LinearOperator {
 public:
  Index size() const final { return at_->network().num_params(); }
  Index num_rows() const { return at_->num_rows(); }

  void multiply(const double* v, double* out) final {
    const std::lock_guard<ForkSafeMutex> one_product_at_a_time(mutex_);
    at_->network().pack(v, v_packed_.data());
    sum_.run(n_threads_, out, [&](Rows rows, int thread, Scalar* packed_bar) {
      add_block(rows, workspaces_[static_cast<std::size_t>(thread)], packed_bar);
    });
    const ConstVectorView<double> input(v, size());
    VectorView<double> result(out, size());
    result = result / double(at_->num_counted()) + damping_ * input;
  }

 protected:
  GaussNewtonOperator(std::shared_ptr<const Linearization<Scalar>> at,  // the network at theta and normalised inputs
                      double damping, int n_threads)
      : at_(std::move(at)),
        damping_(damping),
        n_threads_(n_threads),
        metric_(at_->num_rows(), at_->network().output_size()),
        v_packed_(Vector<Scalar>::Zero(at_->network().packed_size())),
        sum_(at_->network(), at_->blocks(), n_threads) {
    for (int thread = 0; thread < n_threads_; ++thread) workspaces_.emplace_back(*at_);
  }

  // For the constructors of derived classes: fill(rows, phi, metric) writes what multiply_metric() reads of each row,
  // (B, K), from its output phi, (B, K).
  template <class Fill>
  void fill_metric(Fill&& fill) {
    for_each_piece({0, num_rows()},
                   [&](Rows rows) { fill(rows, at_->output(rows), metric_.panel(rows.begin, rows.size())); });
  }

 private:
  struct Workspace {
    explicit Workspace(const Linearization<Scalar>& at)
        : tangents(at), phi_bar(at.blocks().block_rows(), at.network().output_size()) {}
    typename Linearization<Scalar>::Workspace tangents;
    PaddedMatrix<Scalar> phi_bar;
  };

  // out[n] = M_n dphi_n
  virtual void multiply_metric(ConstPanel<Scalar> metric,  // (B, K)
                               ConstPanel<Scalar> dphi,    // (B, K)
                               Panel<Scalar> out           // (B, K)
  ) const = 0;

  // packed_bar += J^T M J v over one block
  void add_block(Rows rows, Workspace& workspace, Scalar* packed_bar) {
    const Panel<Scalar> phi_bar = workspace.phi_bar.panel(0, rows.size());
    const auto block = at_->load(rows, workspace.tangents);
    const Panel<Scalar> dphi = block.jvp(v_packed_.data());  // J v
    multiply_metric(metric(rows), view(dphi), phi_bar);      // M J v
    at_->clear_padding(rows, phi_bar);
    block.vjp(phi_bar, packed_bar);  // J^T M J v
  }

  ConstPanel<Scalar> metric(Rows rows) const { return metric_.panel(rows.begin, rows.size()); }

  std::shared_ptr<const Linearization<Scalar>> at_;
  double damping_;
  int n_threads_;
  PaddedMatrix<Scalar> metric_;  // (N, K)
  ForkSafeMutex mutex_;
  Vector<Scalar> v_packed_;
  GradientSum<Scalar> sum_;
  std::vector<Workspace> workspaces_;  // one per thread
};

}  // namespace trpo_fast
