#include "objectives.hpp"

#include "dense_kernels.hpp"
#include "trpo_fast/objectives/surrogate.hpp"
#include "trpo_fast/objectives/vine.hpp"
#include "views.hpp"

namespace trpo_fast::core {

template <class Scalar>
Index PolicyObjective<Scalar>::num_params() const {
  return kernel_->num_params();
}
template <class Scalar>
void PolicyObjective<Scalar>::gradient(double* out) const {
  kernel_->gradient(out);
}
template <class Scalar>
ObjectiveValue PolicyObjective<Scalar>::evaluate(const Scalar* theta_new) const {
  const trpo_fast::ObjectiveValue value = kernel_->evaluate(theta_new);
  return {value.surrogate, value.mean_kl, value.max_kl, value.entropy};
}

template <class Scalar>
SurrogateObjective<Scalar>::SurrogateObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                                               const Scalar* theta, const Inputs<Scalar>& x,
                                               Matrix<const Scalar> actions, const double* advantages, double ent_coef,
                                               int n_threads)
    : PolicyObjective<Scalar>(std::make_shared<const trpo_fast::SurrogateObjective<Scalar>>(
          network.kernel(), *distribution.kernel(), view(theta, network.num_params()), view(x), view(actions),
          view(advantages, x.num_rows()), ent_coef, n_threads)) {}

template <class Scalar>
VineObjective<Scalar>::VineObjective(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                                     const Scalar* theta, const Inputs<Scalar>& x, Matrix<const Scalar> actions,
                                     Matrix<const double> q_values, bool from_policy, double ent_coef, int n_threads)
    : PolicyObjective<Scalar>(std::make_shared<const trpo_fast::VineObjective<Scalar>>(
          network.kernel(), *distribution.kernel(), view(theta, network.num_params()), view(x), view(actions),
          view(q_values), from_policy ? Proposal::policy : Proposal::uniform, ent_coef, n_threads)) {}

#define TRPO_FAST_OBJECTIVES(Scalar)         \
  template class PolicyObjective<Scalar>;    \
  template class SurrogateObjective<Scalar>; \
  template class VineObjective<Scalar>

TRPO_FAST_OBJECTIVES(float);
TRPO_FAST_OBJECTIVES(double);

}  // namespace trpo_fast::core
