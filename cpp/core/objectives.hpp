// Objectives of the policy. Network and distribution must outlive them.
#pragma once

#include <memory>
#include <utility>

#include "distributions.hpp"
#include "network.hpp"

namespace trpo_fast {
template <class Scalar>
class PolicyObjective;
}  // namespace trpo_fast

namespace trpo_fast::core {

struct ObjectiveValue {
  double surrogate;
  double mean_kl;
  double max_kl;
  double entropy;
};

template <class Scalar>
class PolicyObjective {
 public:
  Index num_params() const;                                // P
  void gradient(double* out) const;                        // (P,)
  ObjectiveValue evaluate(const Scalar* theta_new) const;  // (P,)

  const trpo_fast::PolicyObjective<Scalar>& kernel() const { return *kernel_; }

 protected:
  explicit PolicyObjective(std::shared_ptr<const trpo_fast::PolicyObjective<Scalar>> kernel)
      : kernel_(std::move(kernel)) {}

 private:
  std::shared_ptr<const trpo_fast::PolicyObjective<Scalar>> kernel_;
};

template <class Scalar>
class SurrogateObjective final : public PolicyObjective<Scalar> {
 public:
  SurrogateObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     const Scalar* theta,           // (P,)
                     const Inputs<Scalar>& x,       // N rows
                     Matrix<const Scalar> actions,  // (N, A)
                     const double* advantages,      // (N,)
                     double ent_coef, int n_threads);
};

template <class Scalar>
class VineObjective final : public PolicyObjective<Scalar> {
 public:
  VineObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                const Scalar* theta,            // (P,)
                const Inputs<Scalar>& x,        // N rows
                Matrix<const Scalar> actions,   // (N, K A)
                Matrix<const double> q_values,  // (N, K)
                bool from_policy,               // the proposal of the actions: the policy at theta, or uniform
                double ent_coef, int n_threads);
};

}  // namespace trpo_fast::core
