// Observations and actions of the environment, and a policy that acts.
#pragma once

#include <memory>

#include "distributions.hpp"
#include "network.hpp"

namespace trpo_fast {
class ActionRange;
template <class Scalar>
class Actor;
class Normalizer;
}  // namespace trpo_fast

namespace trpo_fast::core {

double max_magnitude();

// out = x, and whether every entry is finite and of magnitude up to max_magnitude()
template <class T>
bool copy_if_fit(Vector<const T> x, double* out);

class Normalizer {
 public:
  Normalizer(Vector<const double> mean, Vector<const double> inv_std, double clip);
  Index size() const;
  template <class Scalar>
  void apply(Matrix<const double> x, Matrix<Scalar> out) const;
  const trpo_fast::Normalizer& kernel() const { return *kernel_; }

 private:
  std::shared_ptr<const trpo_fast::Normalizer> kernel_;
};

class ActionRange {
 public:
  ActionRange(Vector<const double> low, Vector<const double> high, Vector<const std::int64_t> start, bool squash);
  Index size() const;
  template <class Scalar, class Out>
  void apply(Matrix<const Scalar> actions, Matrix<Out> out) const;

 private:
  std::shared_ptr<const trpo_fast::ActionRange> kernel_;
};

// Network and distribution must outlive it.
template <class Scalar>
class Actor {
 public:
  Actor(const Network<Scalar>& network, const Distribution<Scalar>& distribution, const Normalizer& normalizer,
        const Scalar* theta);  // (P,)

  // actions ~ pi(. | observations), or the most probable ones where noise has no data. States, for a network that has
  // one, are those before the observations, and after it those of the next ones.
  void act(const Inputs<double>& observations,  // n rows
           Matrix<const Scalar> noise,          // (n, A), or no data
           Matrix<Scalar> actions,              // (n, A)
           Scalar* states = nullptr);           // (n, state_size)

 private:
  std::shared_ptr<trpo_fast::Actor<Scalar>> kernel_;
};

}  // namespace trpo_fast::core
