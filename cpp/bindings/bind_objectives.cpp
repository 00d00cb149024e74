#include <memory>
#include <string>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/objectives.hpp"
#include "policy_at.hpp"

namespace trpo_fast::core {
namespace {

// Whether the actions were proposed by the policy; otherwise all had the same probability.
bool is_from_policy(const std::string& name) {
  if (name == "policy") return true;
  if (name == "uniform") return false;
  throw py::value_error("proposal: expected policy or uniform, got " + name);
}

template <class Scalar>
void bind_objective(py::module_& module) {
  using O = PolicyObjective<Scalar>;
  py::class_<O>(module, "PolicyObjective", py::module_local(), "L(theta') and the KL divergence that bounds the step")
      .def(
          "gradient",
          [](const O& self, const py::object& out) {
            auto gradient = vector_out<double>(out, "out", self.num_params());
            const py::gil_scoped_release release;
            self.gradient(gradient.data);
          },
          py::arg("out"), "out = grad L at theta' = theta")
      .def(
          "evaluate",
          [](const O& self, const py::object& theta_new) {
            const auto theta_in = vector_in<Scalar>(theta_new, "theta_new", self.num_params());
            ObjectiveValue value{};
            {
              const py::gil_scoped_release release;
              value = self.evaluate(theta_in.data);
            }
            return py::make_tuple(value.surrogate, value.mean_kl, value.max_kl, value.entropy);
          },
          py::arg("theta_new"), "(surrogate, mean_kl, max_kl, entropy) at theta_new");
}

template <class Scalar>
void bind_surrogate(py::module_& module) {
  using S = SurrogateObjective<Scalar>;
  py::class_<S, PolicyObjective<Scalar>>(module, "SurrogateObjective", py::module_local(),
                                         "L(theta') = mean(ratio * advantage) + ent_coef * mean(entropy)")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                       const py::object& theta, const py::object& x, const py::object& actions,
                       const py::object& advantages, double ent_coef, int n_threads) {
             const PolicyAt<Scalar> at(network, distribution, theta, x);
             const auto actions_in = matrix_in<Scalar>(actions, "actions", at.x.num_rows(), distribution.action_size());
             const auto advantages_in = vector_in<double>(advantages, "advantages", at.x.num_rows()).data;
             at_least(ent_coef, 0.0, "ent_coef");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<S>(network, distribution, at.theta, at.x, actions_in, advantages_in, ent_coef,
                                        n_threads);
           }),
           py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("actions"),
           py::arg("advantages"), py::arg("ent_coef"), py::arg("n_threads"), py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>());
}

template <class Scalar>
void bind_vine(py::module_& module) {
  using V = VineObjective<Scalar>;
  py::class_<V, PolicyObjective<Scalar>>(module, "VineObjective", py::module_local(),
                                         "L(theta') = mean(sum(w Q) / sum(w)) + ent_coef * mean(entropy)")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                       const py::object& theta, const py::object& x, const py::object& actions,
                       const py::object& q_values, const std::string& proposal, double ent_coef, int n_threads) {
             const PolicyAt<Scalar> at(network, distribution, theta, x);
             const Index size = distribution.action_size();
             const auto actions_in = matrix_in<Scalar>(actions, "actions", at.x.num_rows(), kAnySize);
             const Index n_actions = actions_in.cols / size;
             if (n_actions * size != actions_in.cols) {
               refuse_array<Scalar>(actions, "actions", {at.x.num_rows(), n_actions * size});
             }
             const auto q_in = matrix_in<double>(q_values, "q_values", at.x.num_rows(), n_actions);
             const bool from_policy = is_from_policy(proposal);
             at_least(ent_coef, 0.0, "ent_coef");
             checked_threads(n_threads);
             const py::gil_scoped_release release;
             return std::make_unique<V>(network, distribution, at.theta, at.x, actions_in, q_in, from_policy, ent_coef,
                                        n_threads);
           }),
           py::arg("network"), py::arg("distribution"), py::arg("theta"), py::arg("x"), py::arg("actions"),
           py::arg("q_values"), py::arg("proposal"), py::arg("ent_coef"), py::arg("n_threads"), py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>());
}

}  // namespace

template <class Scalar>
void bind_objectives(py::module_& module) {
  bind_objective<Scalar>(module);
  bind_surrogate<Scalar>(module);
  bind_vine<Scalar>(module);
}

template void bind_objectives<float>(py::module_&);
template void bind_objectives<double>(py::module_&);

}  // namespace trpo_fast::core
