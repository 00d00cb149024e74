#include "solvers.hpp"

#include "dense_kernels.hpp"
#include "trpo_fast/parallel/background_task.hpp"
#include "trpo_fast/parallel/for_each_slot.hpp"
#include "trpo_fast/solvers/conjugate_gradient.hpp"
#include "trpo_fast/solvers/value_fit.hpp"
#include "trpo_fast/solvers/vector_math.hpp"
#include "views.hpp"

namespace trpo_fast::core {

double dot(Vector<const double> x, Vector<const double> y) { return trpo_fast::dot(view(x), view(y)); }
double norm(Vector<const double> x) { return trpo_fast::norm(view(x)); }

CGResult conjugate_gradient(LinearOperator& a, Vector<const double> b, Index max_iter, double rtol,
                            LinearOperator* preconditioner, double progress_rtol, double* x) {
  const trpo_fast::CGResult result =
      trpo_fast::conjugate_gradient(a, view(b), max_iter, rtol, preconditioner, progress_rtol);
  view(x, b.size) = result.x;
  return {result.n_iter, result.residual_norm, result.quadratic_form, result.status};
}

template <class Scalar>
struct ValueFit<Scalar>::Task {
  template <class... Args>
  explicit Task(const Args&... args) : fit(args...) {}

  trpo_fast::ValueFit<Scalar> fit;
  BackgroundTask task{[this](const BackgroundTask::Poll& poll) { fit.run(poll); }};  // last: it ends before the fit
};

template <class Scalar>
ValueFit<Scalar>::ValueFit(const Network<Scalar>& network, const Inputs<Scalar>& x, const Scalar* targets,
                           Matrix<const std::int64_t> order, Index batch_size, double learning_rate,
                           const Scalar* theta, const Scalar* first_moment, const Scalar* second_moment,
                           std::int64_t n_steps)
    : num_params_(network.num_params()) {
  const AdamState<Scalar> state{view(theta, num_params_), view(first_moment, num_params_),
                                view(second_moment, num_params_), n_steps};
  task_ = std::make_shared<Task>(network.kernel(), view(x), view(targets, x.num_rows()), view(order), batch_size,
                                 AdamOptions{learning_rate}, state);
}

template <class Scalar>
void ValueFit<Scalar>::start() {
  task_->task.start();
}
template <class Scalar>
void ValueFit<Scalar>::finish() {
  task_->task.finish(poll_interrupt);
}

template <class Scalar>
void ValueFit<Scalar>::read(Vector<Scalar> theta, Vector<Scalar> first_moment, Vector<Scalar> second_moment) const {
  task_->fit.read(view(theta), view(first_moment), view(second_moment));
}
template <class Scalar>
double ValueFit<Scalar>::loss() const {
  return task_->fit.loss();
}
template <class Scalar>
std::int64_t ValueFit<Scalar>::n_steps() const {
  return task_->fit.n_steps();
}
template <class Scalar>
bool ValueFit<Scalar>::finite() const {
  return task_->fit.finite();
}

template class ValueFit<float>;
template class ValueFit<double>;

}  // namespace trpo_fast::core
