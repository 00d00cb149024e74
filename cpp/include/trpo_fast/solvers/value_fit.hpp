// The critic's fit: epochs of minibatch Adam on the squared error, in one call.
#pragma once

#include <algorithm>

#include "../network/linearization.hpp"
#include "../objectives/squared_error.hpp"
#include "adam.hpp"

namespace trpo_fast {

struct ValueFitResult {
  double loss;  // mean squared error over the last epoch, each minibatch before its step
  std::int64_t n_steps;
  bool finite;  // theta, both moments and the loss
};

// order holds n_epochs * N row numbers, drawn by the caller; consecutive batch_size of an epoch are a minibatch.
template <class Scalar>
ValueFitResult fit_value_function(const Network<Scalar>& network,
                                  ConstMatrixView<Scalar> x,            // (N, input_size), normalised observations
                                  ConstVectorView<Scalar> targets,      // (N,)
                                  ConstMatrixView<std::int64_t> order,  // (n_epochs, N)
                                  Index batch_size, const AdamOptions& options, AdamState<Scalar>& state,
                                  Vector<Scalar>& theta  // (P,)
) {
  const Index n = x.rows();
  RowMatrix<Scalar> x_batch(std::min(batch_size, n), x.cols());
  Vector<Scalar> target_batch(x_batch.rows());
  Vector<Scalar> value_bar(x_batch.rows());
  Vector<Scalar> gradient(network.num_params());
  typename Linearization<Scalar>::Workspace workspace(network);
  ValueFitResult result{0.0, 0, true};
  for (Index epoch = 0; epoch < order.rows(); ++epoch) {
    double loss = 0.0;
    for (Index begin = 0; begin < n; begin += batch_size) {
      const Index rows_in_batch = std::min(batch_size, n - begin);
      for (Index i = 0; i < rows_in_batch; ++i) {
        const Index row = order(epoch, begin + i);
        x_batch.row(i) = x.row(row);
        target_batch[i] = targets[row];
      }
      const Linearization<Scalar> at(network, {theta.data(), theta.size()}, view(block(x_batch, {0, rows_in_batch})));
      loss += squared_error<Scalar>({at.output().data(), rows_in_batch}, {target_batch.data(), rows_in_batch},
                                    Scalar(1) / static_cast<Scalar>(rows_in_batch), {value_bar.data(), rows_in_batch});
      gradient.setZero();
      for_each_block(rows_in_batch, [&](Rows rows) {
        at.vjp(rows, {value_bar.data() + rows.begin, rows.size(), 1}, gradient.data(), workspace);
      });
      adam_step(options, gradient, state, theta);
      ++result.n_steps;
    }
    result.loss = loss / double(n);
  }
  result.finite = std::isfinite(result.loss) && theta.allFinite() && state.first_moment.allFinite() &&
                  state.second_moment.allFinite();
  return result;
}

}  // namespace trpo_fast
