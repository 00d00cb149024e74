#include "distributions.hpp"

#include "trpo_fast/distributions/bernoulli.hpp"
#include "trpo_fast/distributions/categorical.hpp"
#include "trpo_fast/distributions/diag_gaussian.hpp"
#include "trpo_fast/distributions/product.hpp"
#include "trpo_fast/distributions/unit_gaussian.hpp"
#include "views.hpp"

namespace trpo_fast::core {

template <class Scalar>
Index Distribution<Scalar>::num_dist_params() const {
  return kernel_->num_dist_params();
}
template <class Scalar>
Index Distribution<Scalar>::action_size() const {
  return kernel_->action_size();
}

template <class Scalar>
void Distribution<Scalar>::check_actions(ConstRows actions) const {
  trpo_fast::check_actions(*kernel_, view(actions));
}

template <class Scalar>
void Distribution<Scalar>::log_prob(ConstRows phi, ConstRows actions, double* out) const {
  kernel_->log_prob(panel(phi), panel(actions), view(out, phi.rows));
}
template <class Scalar>
void Distribution<Scalar>::log_ratio(ConstRows p, ConstRows q, ConstRows actions, double* out) const {
  kernel_->log_ratio(panel(p), panel(q), panel(actions), view(out, p.rows));
}
template <class Scalar>
void Distribution<Scalar>::log_prob_vjp(ConstRows phi, ConstRows actions, const double* weight, Rows phi_bar) const {
  kernel_->log_prob_vjp(panel(phi), panel(actions), view(weight, phi.rows), panel(phi_bar));
}
template <class Scalar>
void Distribution<Scalar>::kl_divergence(ConstRows p, ConstRows q, double* out) const {
  kernel_->kl_divergence(panel(p), panel(q), view(out, p.rows));
}
template <class Scalar>
void Distribution<Scalar>::entropy(ConstRows phi, double* out) const {
  kernel_->entropy(panel(phi), view(out, phi.rows));
}
template <class Scalar>
void Distribution<Scalar>::entropy_vjp(ConstRows phi, double weight, Rows phi_bar) const {
  kernel_->entropy_vjp(panel(phi), weight, panel(phi_bar));
}
template <class Scalar>
void Distribution<Scalar>::fisher_metric(ConstRows phi, Rows metric) const {
  kernel_->fisher_metric(panel(phi), panel(metric));
}
template <class Scalar>
void Distribution<Scalar>::multiply_fisher(ConstRows metric, ConstRows dphi, Rows out) const {
  kernel_->multiply_fisher(panel(metric), panel(dphi), panel(out));
}
template <class Scalar>
void Distribution<Scalar>::sample(ConstRows phi, ConstRows noise, Rows actions) const {
  kernel_->sample(panel(phi), panel(noise), panel(actions));
}
template <class Scalar>
void Distribution<Scalar>::mode(ConstRows phi, Rows actions) const {
  kernel_->mode(panel(phi), panel(actions));
}

template <class Scalar>
DiagGaussian<Scalar>::DiagGaussian(Index size)
    : Distribution<Scalar>(std::make_shared<const trpo_fast::DiagGaussian<Scalar>>(size)) {}

template <class Scalar>
Categorical<Scalar>::Categorical(Index num_choices)
    : Distribution<Scalar>(std::make_shared<const trpo_fast::Categorical<Scalar>>(num_choices)) {}

template <class Scalar>
Bernoulli<Scalar>::Bernoulli(Index num_bits)
    : Distribution<Scalar>(std::make_shared<const trpo_fast::Bernoulli<Scalar>>(num_bits)) {}

template <class Scalar>
UnitGaussian<Scalar>::UnitGaussian(Index size)
    : Distribution<Scalar>(std::make_shared<const trpo_fast::UnitGaussian<Scalar>>(size)) {}

namespace {

template <class Scalar>
auto kernels_of(const std::vector<std::shared_ptr<Distribution<Scalar>>>& distributions) {
  std::vector<std::shared_ptr<const trpo_fast::Distribution<Scalar>>> kernels;
  for (const auto& distribution : distributions) kernels.push_back(distribution->kernel());
  return kernels;
}

}  // namespace

template <class Scalar>
Product<Scalar>::Product(const std::vector<std::shared_ptr<Distribution<Scalar>>>& factors)
    : Distribution<Scalar>(std::make_shared<const trpo_fast::Product<Scalar>>(kernels_of(factors))) {}

#define TRPO_FAST_DISTRIBUTIONS(Scalar) \
  template class Distribution<Scalar>;  \
  template class DiagGaussian<Scalar>;  \
  template class Categorical<Scalar>;   \
  template class Bernoulli<Scalar>;     \
  template class UnitGaussian<Scalar>;  \
  template class Product<Scalar>

TRPO_FAST_DISTRIBUTIONS(float);
TRPO_FAST_DISTRIBUTIONS(double);

}  // namespace trpo_fast::core
