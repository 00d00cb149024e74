#include "acting.hpp"

#include "dense_kernels.hpp"
#include "trpo_fast/action_range.hpp"
#include "trpo_fast/actor.hpp"
#include "trpo_fast/normalizer.hpp"
#include "views.hpp"

namespace trpo_fast::core {

double max_magnitude() { return kMaxMagnitude; }

template <class T>
bool copy_if_fit(Vector<const T> x, double* out) {
  return trpo_fast::copy_if_fit(view(x), view(out, x.size));
}

Normalizer::Normalizer(Vector<const double> mean, Vector<const double> inv_std, double clip)
    : kernel_(std::make_shared<const trpo_fast::Normalizer>(view(mean), view(inv_std), clip)) {}

Index Normalizer::size() const { return kernel_->size(); }

template <class Scalar>
void Normalizer::apply(Matrix<const double> x, Matrix<Scalar> out) const {
  kernel_->apply(view(x), view(out));
}

ActionRange::ActionRange(Vector<const double> low, Vector<const double> high, Vector<const std::int64_t> start,
                         bool squash)
    : kernel_(std::make_shared<const trpo_fast::ActionRange>(view(low), view(high), view(start), squash)) {}

Index ActionRange::size() const { return kernel_->size(); }

template <class Scalar, class Out>
void ActionRange::apply(Matrix<const Scalar> actions, Matrix<Out> out) const {
  kernel_->apply(view(actions), view(out));
}

template <class Scalar>
Actor<Scalar>::Actor(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     const Normalizer& normalizer, const Scalar* theta)
    : kernel_(std::make_shared<trpo_fast::Actor<Scalar>>(network.kernel(), *distribution.kernel(), normalizer.kernel(),
                                                         theta)) {}

template <class Scalar>
void Actor<Scalar>::act(const Inputs<double>& observations, Matrix<const Scalar> noise, Matrix<Scalar> actions,
                        Scalar* states) {
  kernel_->act(view(observations.x), observations.images.data(), view(noise), view(actions), states);
}

#define TRPO_FAST_ACTING(Scalar)                                                      \
  template bool copy_if_fit(Vector<const Scalar>, double*);                           \
  template void Normalizer::apply(Matrix<const double>, Matrix<Scalar>) const;        \
  template void ActionRange::apply(Matrix<const Scalar>, Matrix<float>) const;        \
  template void ActionRange::apply(Matrix<const Scalar>, Matrix<double>) const;       \
  template void ActionRange::apply(Matrix<const Scalar>, Matrix<std::int64_t>) const; \
  template class Actor<Scalar>

TRPO_FAST_ACTING(float);
TRPO_FAST_ACTING(double);

}  // namespace trpo_fast::core
