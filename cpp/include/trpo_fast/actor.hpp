// Actor: what a policy does at every environment step: normalise, forward, sample. Its step allocates nothing.
#pragma once

#include <mutex>

#include "distributions/distribution.hpp"
#include "network/evaluator.hpp"
#include "normalizer.hpp"

namespace trpo_fast {

template <class Scalar>
class Actor {
 public:
  Actor(const Network<Scalar>& network, const Distribution<Scalar>& distribution)
      : distribution_(distribution),
        evaluator_(network),
        workspace_(network, kBlockRows),
        x_(kBlockRows, network.input_size()) {}

  // actions ~ pi(. | observations), or the most probable ones where noise has no data
  void act(const Normalizer& normalizer,
           const Scalar* theta,                   // (P,)
           ConstMatrixView<double> observations,  // (n, obs_size), raw
           ConstMatrixView<Scalar> noise,         // (n, A), standard normal, or no data
           MatrixView<Scalar> actions             // (n, A)
  ) {
    const std::lock_guard<std::mutex> one_call_at_a_time(mutex_);
    evaluator_.set_theta(theta);
    // a signal handler that acts, too, would meet the locked mutex
    for_each_block({0, observations.rows()}, [&](Rows rows) {
      MatrixView<Scalar> x(x_.data(), rows.size(), x_.cols());
      normalizer.apply(block(observations, rows), x);
      const ConstPanel<Scalar> phi =
          evaluator_.forward(panel<Scalar>(ConstMatrixView<Scalar>(x.data(), x.rows(), x.cols())), workspace_);
      if (noise.data() != nullptr) {
        distribution_.sample(phi, panel(block(noise, rows)), panel(block(actions, rows)));
      } else {
        distribution_.mode(phi, panel(block(actions, rows)));
      }
    });
  }

 private:
  const Distribution<Scalar>& distribution_;
  std::mutex mutex_;
  Evaluator<Scalar> evaluator_;
  typename Evaluator<Scalar>::Workspace workspace_;
  RowMatrix<Scalar> x_;
};

}  // namespace trpo_fast
