// The private extension module trpo_fast._trpo_fast_core. All instruction-set levels share this object: each has its
// name among the initialisers below.
#include <chrono>

#include "arrays.hpp"
#include "bindings.hpp"

namespace trpo_fast::core {
namespace {

// Ctrl-C: checks for pending signals at most every 20 ms; throws what the handler raises.
void check_signals() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point next_check{};
  const Clock::time_point now = Clock::now();
  if (now < next_check) return;
  next_check = now + std::chrono::milliseconds(20);
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

template <class Scalar>
void bind_scalar(py::module_ module) {
  bind_network<Scalar>(module);
  bind_distributions<Scalar>(module);
  bind_objectives<Scalar>(module);
  bind_fisher<Scalar>(module);
  bind_kfac<Scalar>(module);
  bind_value_fit<Scalar>(module);
  bind_actor<Scalar>(module);
}

void bind_module(py::module_& m) {
  m.doc() = "Kernels of trpo_fast. Private: every array is checked and none is converted.";
  prepare_arrays();
  set_interrupt_hook(check_signals);
  m.attr("EIGEN_VERSION") = eigen_version();
  m.attr("SIMD") = simd_instruction_sets();
  m.def("set_num_threads", [](int n_threads) { set_num_threads(checked_threads(n_threads)); }, py::arg("n_threads"));
  m.def("get_num_threads", num_threads);
  bind_normalizer(m);
  bind_area_resize(m);
  bind_images(m);
  bind_conjugate_gradient(m);  // before the operators, which derive from its LinearOperator
  bind_scalar<float>(m.def_submodule("float32", "Kernels on single-precision arrays."));
  bind_scalar<double>(m.def_submodule("float64", "Kernels on double-precision arrays."));
}

}  // namespace
}  // namespace trpo_fast::core

PYBIND11_MODULE(_trpo_fast_core, m, py::mod_gil_not_used()) { trpo_fast::core::bind_module(m); }
PYBIND11_MODULE(_trpo_fast_core_v3, m, py::mod_gil_not_used()) { trpo_fast::core::bind_module(m); }
PYBIND11_MODULE(_trpo_fast_core_v4, m, py::mod_gil_not_used()) { trpo_fast::core::bind_module(m); }
