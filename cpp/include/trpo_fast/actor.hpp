// Actor: a policy at one theta that acts: normalise, forward, sample. Everything is prepared once; a step allocates
// nothing.
#pragma once

#include <mutex>
#include <utility>

#include "distributions/distribution.hpp"
#include "network/evaluator.hpp"
#include "normalizer.hpp"
#include "parallel/fork_safe_mutex.hpp"

namespace trpo_fast {

template <class Scalar>
class Actor {
 public:
  Actor(const Network<Scalar>& network, const Distribution<Scalar>& distribution, Normalizer normalizer,
        const Scalar* theta  // (P,), copied
        )
      : distribution_(distribution),
        normalizer_(std::move(normalizer)),
        state_size_(network.state_size()),
        evaluator_(network),
        workspace_(network, kBlockRows),
        x_(kBlockRows, network.input_size()) {
    evaluator_.set_theta(theta);
  }

  // actions ~ pi(. | observations), or the most probable ones where noise has no data
  void act(ConstMatrixView<double> observations,  // (n, obs_size), raw
           ConstMatrixView<Scalar> noise,         // (n, A), standard normal, or no data
           MatrixView<Scalar> actions             // (n, A)
  ) {
    act(observations, nullptr, noise, actions);
  }

  // The same for a network with images or a state. A state is that of the row's environment: the one before these
  // observations, which is replaced by the one after them. It is 0 where an episode begins.
  void act(ConstMatrixView<double> observations,  // (n, obs_size), raw
           const Images* images,                  // one for each image of the network, of n rows
           ConstMatrixView<Scalar> noise,         // (n, A), standard normal, or no data
           MatrixView<Scalar> actions,            // (n, A)
           Scalar* states = nullptr               // (n, state_size), in and out
  ) {
    const std::lock_guard<ForkSafeMutex> one_call_at_a_time(mutex_);
    for_each_piece({0, observations.rows()}, [&](Rows rows) {
      MatrixView<Scalar> x(x_.data(), rows.size(), x_.cols());
      normalizer_.apply(block(observations, rows), x);
      InputBlock<Scalar> inputs{panel(view(x)), images, rows.begin};
      if (states != nullptr) inputs.sequence = step(rows.size(), states + rows.begin * state_size_);
      const ConstPanel<Scalar> phi = evaluator_.forward(inputs, workspace_);
      if (noise.data() != nullptr) {
        distribution_.sample(phi, panel(block(noise, rows)), panel(block(actions, rows)));
      } else {
        distribution_.mode(phi, panel(block(actions, rows)));
      }
    });
  }

 private:
  // Sequences of one step, one for each row
  SequenceBlock<Scalar> step(Index lanes, Scalar* states) const {
    return {lanes, state_size_, nullptr, states, states};
  }

  const Distribution<Scalar>& distribution_;
  const Normalizer normalizer_;
  Index state_size_;
  Evaluator<Scalar> evaluator_;
  ForkSafeMutex mutex_;  // guards the two below, which hold the values of one call
  typename Evaluator<Scalar>::Workspace workspace_;
  RowMatrix<Scalar> x_;
};

}  // namespace trpo_fast
