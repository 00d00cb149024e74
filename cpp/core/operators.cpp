#include "operators.hpp"

#include "dense_kernels.hpp"
#include "trpo_fast/fisher/empirical_fisher_operator.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/fisher/kfac.hpp"
#include "trpo_fast/objectives/objective.hpp"
#include "views.hpp"

namespace trpo_fast::core {
namespace {

template <class Scalar>
auto linearize(const Network<Scalar>& network, const Scalar* theta, const Inputs<Scalar>& x, int n_threads) {
  return std::make_shared<const trpo_fast::Linearization<Scalar>>(network.kernel(), theta, view(x), n_threads);
}

}  // namespace

template <class Scalar>
FisherOperator<Scalar>::FisherOperator(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                                       const Scalar* theta, const Inputs<Scalar>& x, double damping, int n_threads)
    : KernelOperator(std::make_unique<trpo_fast::FisherOperator<Scalar>>(
          *distribution.kernel(), linearize(network, theta, x, n_threads), damping, n_threads)) {}

template <class Scalar>
FisherOperator<Scalar>::FisherOperator(const PolicyObjective<Scalar>& objective, double damping, int n_threads)
    : KernelOperator(std::make_unique<trpo_fast::FisherOperator<Scalar>>(
          objective.kernel().distribution(), objective.kernel().linearization(), damping, n_threads)) {}

template <class Scalar>
EmpiricalFisherOperator<Scalar>::EmpiricalFisherOperator(const Network<Scalar>& network,
                                                         const Distribution<Scalar>& distribution, const Scalar* theta,
                                                         const Inputs<Scalar>& x, Matrix<const Scalar> actions,
                                                         double damping, int n_threads)
    : KernelOperator(std::make_unique<trpo_fast::EmpiricalFisherOperator<Scalar>>(
          *distribution.kernel(), linearize(network, theta, x, n_threads), view(actions), damping, n_threads)) {}

template <class Scalar>
KFACPreconditioner<Scalar>::KFACPreconditioner(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                                               const Scalar* theta, const Inputs<Scalar>& x,
                                               Matrix<const Scalar> actions, double damping, int n_threads)
    : KernelOperator(std::make_unique<trpo_fast::KFACPreconditioner<Scalar>>(network.kernel(), *distribution.kernel(),
                                                                             view(theta, network.num_params()), view(x),
                                                                             view(actions), damping, n_threads)) {}

template <class Scalar>
std::vector<Index> KFACPreconditioner<Scalar>::identity_layers() const {
  return static_cast<const trpo_fast::KFACPreconditioner<Scalar>&>(kernel()).identity_layers();
}

#define TRPO_FAST_OPERATORS(Scalar)               \
  template class FisherOperator<Scalar>;          \
  template class EmpiricalFisherOperator<Scalar>; \
  template class KFACPreconditioner<Scalar>

TRPO_FAST_OPERATORS(float);
TRPO_FAST_OPERATORS(double);

}  // namespace trpo_fast::core
