#include <algorithm>
#include <utility>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/solvers.hpp"

namespace trpo_fast::core {
namespace {

// An operator whose product is a Python callable, (P,) float64 -> (P,) float64.
class CallableOperator final : public LinearOperator {
 public:
  CallableOperator(Index size, py::function product) : size_(size), product_(std::move(product)) {}

  Index size() const override { return size_; }

  void multiply(const double* v, double* out) override {
    const py::gil_scoped_acquire gil;
    const py::object product = product_(py::array_t<double>(size_, v));
    std::copy_n(vector_in<double>(product, "the operator's product", size_).data, size_, out);
  }

 private:
  Index size_;
  py::function product_;
};

py::dict result_to_dict(const py::array_t<double>& x, const CGResult& result) {
  py::dict out;
  out["x"] = x;
  out["n_iter"] = result.n_iter;
  out["residual_norm"] = result.residual_norm;
  out["quadratic_form"] = result.quadratic_form;
  out["status"] = result.status;
  return out;
}

}  // namespace

void bind_conjugate_gradient(py::module_& module) {
  module.def(
      "dot",
      [](const py::object& x, const py::object& y) {
        const auto x_in = vector_in<double>(x, "x", kAnySize);
        return dot(x_in, vector_in<double>(y, "y", x_in.size));
      },
      py::arg("x"), py::arg("y"), "x^T y, the same bits on every processor");
  module.def(
      "norm", [](const py::object& x) { return norm(vector_in<double>(x, "x", kAnySize)); }, py::arg("x"),
      "The Euclidean norm of x, the same bits on every processor");
  py::enum_<CGStatus>(module, "CGStatus", py::module_local())
      .value("converged", CGStatus::converged)
      .value("slow_progress", CGStatus::slow_progress)
      .value("max_iter", CGStatus::max_iter)
      .value("zero_rhs", CGStatus::zero_rhs)
      .value("negative_curvature", CGStatus::negative_curvature)
      .value("non_finite", CGStatus::non_finite);
  py::class_<LinearOperator>(module, "LinearOperator", py::module_local(), "A matrix given by its products")
      .def_property_readonly("size", &LinearOperator::size)
      .def(
          "multiply",
          [](LinearOperator& self, const py::object& v, const py::object& out) {
            const auto input = vector_in<double>(v, "v", self.size());
            auto product = vector_out<double>(out, "out", self.size());
            const py::gil_scoped_release release;
            self.multiply(input.data, product.data);
          },
          py::arg("v"), py::arg("out"), "out = A v");
  py::class_<CallableOperator, LinearOperator>(module, "CallableOperator", py::module_local(),
                                               "An operator whose product is a Python callable")
      .def(py::init([](Index size, py::function product) {
             return std::make_unique<CallableOperator>(checked_size(size, "size"), std::move(product));
           }),
           py::arg("size"), py::arg("product"));
  module.def(
      "conjugate_gradient",
      [](LinearOperator& a, const py::object& b, Index max_iter, double rtol, LinearOperator* preconditioner,
         double progress_rtol) {
        const auto rhs = vector_in<double>(b, "b", a.size());
        at_least<Index>(max_iter, 1, "max_iter");
        at_least(rtol, 0.0, "rtol");
        at_least(progress_rtol, 0.0, "progress_rtol");
        if (preconditioner != nullptr) expect_size("preconditioner", "size", a.size(), preconditioner->size());
        py::array_t<double> x(rhs.size);
        double* const x_out = x.mutable_data();
        CGResult result{};
        {
          const py::gil_scoped_release release;
          result = conjugate_gradient(a, rhs, max_iter, rtol, preconditioner, progress_rtol, x_out);
        }
        return result_to_dict(x, result);
      },
      py::arg("a"), py::arg("b"), py::arg("max_iter"), py::arg("rtol"), py::arg("preconditioner") = py::none(),
      py::arg("progress_rtol") = 0.0, "Solve a x = b; a dict of x, n_iter, residual_norm, quadratic_form and status");
}

}  // namespace trpo_fast::core
