#include <memory>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "trpo_fast/parallel/background_task.hpp"
#include "trpo_fast/parallel/for_each_slot.hpp"
#include "trpo_fast/solvers/value_fit.hpp"

namespace trpo_fast::bindings {
namespace {

ConstMatrixView<std::int64_t> order_in(const py::object& order, Index n_rows) {
  const auto in = matrix_in<std::int64_t>(order, "order", kAnySize, n_rows);
  if (in.minCoeff() < 0 || in.maxCoeff() >= n_rows) {
    throw py::value_error("order: expected row numbers in 0.." + std::to_string(n_rows - 1) + ", got " +
                          std::to_string(in.minCoeff()) + ".." + std::to_string(in.maxCoeff()));
  }
  return in;
}

// A fit and the task that executes it, here or on another thread.
template <class Scalar>
class FitTask {
 public:
  explicit FitTask(std::unique_ptr<ValueFit<Scalar>> fit, Index num_params)
      : fit_(std::move(fit)),
        num_params_(num_params),
        task_([this](const BackgroundTask::Poll& poll) { fit_->run(poll); }) {}

  void start() { task_.start(); }
  void finish() { task_.finish(poll_interrupt); }
  const ValueFit<Scalar>& fit() const { return *fit_; }
  Index num_params() const { return num_params_; }

 private:
  std::unique_ptr<ValueFit<Scalar>> fit_;
  Index num_params_;
  BackgroundTask task_;  // last: it ends before the fit is destroyed
};

}  // namespace

template <class Scalar>
void bind_value_fit(py::module_& module) {
  using Task = FitTask<Scalar>;
  py::class_<Task>(module, "ValueFit", py::module_local(), "Epochs of minibatch Adam on the critic's squared error")
      .def(py::init([](const Network<Scalar>& network, const py::object& x, const py::object& targets,
                       const py::object& order, Index batch_size, double learning_rate, const py::object& theta,
                       const py::object& first_moment, const py::object& second_moment, std::int64_t n_steps) {
             expect_size("network", "output size", 1, network.output_size());
             const auto x_in = matrix_in<Scalar>(x, "x", kAnySize, network.input_size());
             const auto targets_in = vector_in<Scalar>(targets, "targets", x_in.rows());
             const auto order_view = order_in(order, x_in.rows());
             at_least<Index>(batch_size, 1, "batch_size");
             at_least(learning_rate, 0.0, "learning_rate");
             at_least<std::int64_t>(n_steps, 0, "n_steps");
             const Index size = network.num_params();
             const AdamState<Scalar> state{vector_in<Scalar>(theta, "theta", size),
                                           vector_in<Scalar>(first_moment, "first_moment", size),
                                           vector_in<Scalar>(second_moment, "second_moment", size), n_steps};
             return std::make_unique<Task>(
                 std::make_unique<ValueFit<Scalar>>(network, x_in, targets_in, order_view, batch_size,
                                                    AdamOptions{learning_rate}, state),
                 size);
           }),
           py::arg("network"), py::arg("x"), py::arg("targets"), py::arg("order"), py::arg("batch_size"),
           py::arg("learning_rate"), py::arg("theta"), py::arg("first_moment"), py::arg("second_moment"),
           py::arg("n_steps"), py::keep_alive<1, 2>())
      .def("start", &Task::start, "Let another thread start the fit, if one is available")
      .def("finish", &Task::finish, py::call_guard<py::gil_scoped_release>(),
           "Wait for the fit; execute it here if no other thread has started it")
      .def(
          "read",
          [](const Task& self, const py::object& theta, const py::object& first_moment,
             const py::object& second_moment) {
            const Index size = self.num_params();
            self.fit().read(vector_out<Scalar>(theta, "theta", size),
                            vector_out<Scalar>(first_moment, "first_moment", size),
                            vector_out<Scalar>(second_moment, "second_moment", size));
            return py::make_tuple(self.fit().loss(), self.fit().n_steps(), self.fit().finite());
          },
          py::arg("theta"), py::arg("first_moment"), py::arg("second_moment"),
          "Write the state of Adam, after finish(); returns (loss, n_steps, finite)");
}

template void bind_value_fit<float>(py::module_&);
template void bind_value_fit<double>(py::module_&);

}  // namespace trpo_fast::bindings
