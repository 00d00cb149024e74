#include "arrays.hpp"
#include "bindings.hpp"
#include "trpo_fast/solvers/value_fit.hpp"

namespace trpo_fast::bindings {
namespace {

// In-place arrays become Eigen vectors for the fit and are written back after it.
template <class Scalar>
struct InPlace {
  InPlace(const py::object& object, const char* name, Index size)
      : view(vector_out<Scalar>(object, name, size)), value(view) {}
  void write_back(const Vector<Scalar>& result) { view = result; }
  VectorView<Scalar> view;
  Vector<Scalar> value;
};

ConstMatrixView<std::int64_t> order_in(const py::object& order, Index n_rows) {
  const auto in = matrix_in<std::int64_t>(order, "order", kAnySize, n_rows);
  if (in.minCoeff() < 0 || in.maxCoeff() >= n_rows) {
    throw py::value_error("order: expected row numbers in 0.." + std::to_string(n_rows - 1) + ", got " +
                          std::to_string(in.minCoeff()) + ".." + std::to_string(in.maxCoeff()));
  }
  return in;
}

}  // namespace

template <class Scalar>
void bind_value_fit(py::module_& module) {
  module.def(
      "fit_value_function",
      [](const Network<Scalar>& network, const py::object& x, const py::object& targets, const py::object& order,
         Index batch_size, double learning_rate, const py::object& theta, const py::object& first_moment,
         const py::object& second_moment, std::int64_t n_steps) {
        expect_size("network", "output size", 1, network.output_size());
        const auto x_in = matrix_in<Scalar>(x, "x", kAnySize, network.input_size());
        const auto targets_in = vector_in<Scalar>(targets, "targets", x_in.rows());
        const auto order_view = order_in(order, x_in.rows());
        at_least<Index>(batch_size, 1, "batch_size");
        at_least(learning_rate, 0.0, "learning_rate");
        at_least<std::int64_t>(n_steps, 0, "n_steps");
        InPlace<Scalar> parameters(theta, "theta", network.num_params());
        InPlace<Scalar> m(first_moment, "first_moment", network.num_params());
        InPlace<Scalar> v(second_moment, "second_moment", network.num_params());
        AdamState<Scalar> state{m.value, v.value, n_steps};
        ValueFitResult result{};
        {
          const py::gil_scoped_release release;
          result = fit_value_function<Scalar>(network, x_in, targets_in, order_view, batch_size, {learning_rate}, state,
                                              parameters.value);
        }
        parameters.write_back(parameters.value);
        m.write_back(state.first_moment);
        v.write_back(state.second_moment);
        return py::make_tuple(result.loss, result.n_steps, result.finite);
      },
      py::arg("network"), py::arg("x"), py::arg("targets"), py::arg("order"), py::arg("batch_size"),
      py::arg("learning_rate"), py::arg("theta"), py::arg("first_moment"), py::arg("second_moment"), py::arg("n_steps"),
      "Minibatch Adam on the squared error; theta and both moments are updated in place. (loss, n_steps, finite)");
}

template void bind_value_fit<float>(py::module_&);
template void bind_value_fit<double>(py::module_&);

}  // namespace trpo_fast::bindings
