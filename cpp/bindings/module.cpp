// The private extension module trpo_fast._trpo_fast_core, compiled once per instruction-set level (TRPO_FAST_MODULE).
#include <chrono>

#include "arrays.hpp"
#include "bindings.hpp"
#include "trpo_fast/parallel/for_each_slot.hpp"

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
  using namespace trpo_fast::bindings;
  bind_network<Scalar>(module);
  bind_distributions<Scalar>(module);
  bind_objectives<Scalar>(module);
  bind_fisher<Scalar>(module);
  bind_kfac<Scalar>(module);
  bind_value_fit<Scalar>(module);
  bind_actor<Scalar>(module);
}

}  // namespace

PYBIND11_MODULE(TRPO_FAST_MODULE, m, py::mod_gil_not_used()) {
  m.doc() = "Kernels of trpo_fast. Private: every array is checked and none is converted.";
  trpo_fast::interrupt_hook = check_signals;
  m.attr("EIGEN_VERSION") = std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
                            std::to_string(EIGEN_MINOR_VERSION);
  m.attr("SIMD") = Eigen::SimdInstructionSetsInUse();
  m.def(
      "set_num_threads",
      [](int n_threads) { trpo_fast::default_threads() = trpo_fast::bindings::checked_threads(n_threads); },
      py::arg("n_threads"));
  m.def("get_num_threads", [] { return trpo_fast::default_threads().load(); });
  trpo_fast::bindings::bind_normalizer(m);
  trpo_fast::bindings::bind_conjugate_gradient(m);  // before the operators, which derive from its LinearOperator
  bind_scalar<float>(m.def_submodule("float32", "Kernels on single-precision arrays."));
  bind_scalar<double>(m.def_submodule("float64", "Kernels on double-precision arrays."));
}
