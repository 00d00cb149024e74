#include <algorithm>
#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/acting.hpp"
#include "inputs_in.hpp"

namespace trpo_fast::core {
namespace {

// f(actions for an environment), which are float32 or float64 for a box and int64 for choices
template <class Function>
void with_env_actions(const py::object& object, const char* name, Index rows, Index cols, Function&& f) {
  if (is_array_of<float>(object)) {
    f(matrix_out<float>(object, name, rows, cols));
  } else if (is_array_of<std::int64_t>(object)) {
    f(matrix_out<std::int64_t>(object, name, rows, cols));
  } else {
    f(matrix_out<double>(object, name, rows, cols));
  }
}

template <class T>
bool copy_if_fit_from(const py::array& values, double* out) {
  return copy_if_fit<T>({static_cast<const T*>(values.data()), values.size()}, out);
}

// Returns false if `values` have another layout, dtype or type, or values that are not fit; the caller finds out which.
bool copy_if_fit_object(const py::object& values, const py::object& out) {
  if (!is_array_of<double>(out) || !is_plain(py::reinterpret_borrow<py::array>(out))) {
    refuse_array<double>(out, "out", {kAnySize, kAnySize});
  }
  auto to = py::reinterpret_borrow<py::array>(out);
  double* const out_data = writeable_data<double>(to, "out");
  if (!py::isinstance<py::array>(values)) return false;
  const auto from = py::reinterpret_borrow<py::array>(values);
  const bool alike = from.ndim() == to.ndim() && std::equal(from.shape(), from.shape() + from.ndim(), to.shape());
  if (!alike || !is_plain(from)) return false;
  if (is_array_of<double>(values)) return copy_if_fit_from<double>(from, out_data);
  return is_array_of<float>(values) && copy_if_fit_from<float>(from, out_data);
}

// The states of n environments; null for a network without one
template <class Scalar>
Scalar* states_in_out(const py::object& states, Index n, Index size) {
  if (size > 0) return matrix_out<Scalar>(states, "states", n, size).data;
  if (!states.is_none()) throw py::type_error("states: expected None for a network without a state, got an array");
  return nullptr;
}

template <class Scalar>
void bind_actor_class(py::module_& module) {
  struct Prepared {  // an actor, and the map of its actions to those of the environment
    Index obs_size, action_size, state_size;
    std::vector<ImageInput> images;
    ActionRange range;
    Actor<Scalar> actor;
  };
  py::class_<Prepared>(module, "Actor", py::module_local(), "A policy at one theta that acts")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                       const Normalizer& normalizer, const ActionRange& action_range, const py::object& theta) {
             expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
             expect_size("normalizer", "size", network.input_size(), normalizer.size());
             expect_size("action_range", "size", distribution.action_size(), action_range.size());
             const auto theta_in = vector_in<Scalar>(theta, "theta", network.num_params()).data;
             return std::unique_ptr<Prepared>(new Prepared{network.input_size(),
                                                           distribution.action_size(),
                                                           network.state_size(),
                                                           network.images(),
                                                           action_range,
                                                           {network, distribution, normalizer, theta_in}});
           }),
           py::arg("network"), py::arg("distribution"), py::arg("normalizer"), py::arg("action_range"),
           py::arg("theta"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>())
      .def(
          "act",
          [](Prepared& self, const py::object& observations, const py::object& noise, const py::object& out,
             const py::object& env_actions, const py::object& states) {
            const auto x = inputs_of_call<double>(observations, "observations", self.obs_size, self.images, 0);
            const Index n = x.num_rows();
            const auto actions = matrix_out<Scalar>(out, "out", n, self.action_size);
            const auto noise_in = noise.is_none() ? Matrix<const Scalar>{nullptr, 0, 0}
                                                  : matrix_in<Scalar>(noise, "noise", n, self.action_size);
            Scalar* const states_of_rows = states_in_out<Scalar>(states, n, self.state_size);
            if (env_actions.is_none()) return self.actor.act(x, noise_in, actions, states_of_rows);
            with_env_actions(env_actions, "env_actions", n, self.action_size, [&](auto taken) {
              self.actor.act(x, noise_in, actions, states_of_rows);
              self.range.template apply<Scalar>(actions, taken);
            });
          },
          py::arg("observations"), py::arg("noise"), py::arg("out"), py::arg("env_actions") = py::none(),
          py::arg("states") = py::none(),
          "out = actions sampled with the given noise, or the most probable ones if noise is None;\n"
          "env_actions = the same, as actions of the environment; states (n, state_size), of a network that has one, "
          "are\n"
          "those before the observations (0 where an episode begins), and become those after them");
}

}  // namespace

void bind_normalizer(py::module_& module) {
  module.attr("MAX_MAGNITUDE") = max_magnitude();
  module.def(
      "copy_if_fit", copy_if_fit_object, py::arg("values"), py::arg("out"),
      "out = values, and True, if values are a C-contiguous float32 or float64 array of out's shape whose entries are\n"
      "finite with magnitudes up to MAX_MAGNITUDE");
  py::class_<Normalizer>(module, "Normalizer", py::module_local(), "clip((x - mean) * inv_std, -clip, clip)")
      .def(py::init([](const py::object& mean, const py::object& inv_std, double clip) {
             const auto mean_in = vector_in<double>(mean, "mean", kAnyOrNone);
             const auto inv_std_in = vector_in<double>(inv_std, "inv_std", mean_in.size);
             if (!(clip > 0.0)) throw py::value_error("clip: expected a number > 0, got " + std::to_string(clip));
             return std::make_unique<Normalizer>(mean_in, inv_std_in, clip);
           }),
           py::arg("mean"), py::arg("inv_std"), py::arg("clip"));
  py::class_<ActionRange>(module, "ActionRange", py::module_local(),
                          "start + clip(action, low, high), where tanh maps action to low..high first if squash")
      .def(py::init([](const py::object& low, const py::object& high, const py::object& start, bool squash) {
             const auto low_in = vector_in<double>(low, "low", kAnySize);
             const auto high_in = vector_in<double>(high, "high", low_in.size);
             return std::make_unique<ActionRange>(low_in, high_in, vector_in<std::int64_t>(start, "start", low_in.size),
                                                  squash);
           }),
           py::arg("low"), py::arg("high"), py::arg("start"), py::arg("squash") = false);
}

template <class Scalar>
void bind_actor(py::module_& module) {
  bind_actor_class<Scalar>(module);
  module.def(
      "to_env",
      [](const ActionRange& action_range, const py::object& actions, const py::object& out) {
        const auto rows = matrix_in<Scalar>(actions, "actions", kAnySize, action_range.size());
        with_env_actions(out, "out", rows.rows, rows.cols,
                         [&](auto taken) { action_range.apply<Scalar>(rows, taken); });
      },
      py::arg("action_range"), py::arg("actions"), py::arg("out"), "out = actions of the environment");
  module.def(
      "normalize",
      [](const Normalizer& normalizer, const py::object& x, const py::object& out) {
        const auto x_in = matrix_in<double>(x, "x", kAnySize, normalizer.size());
        const auto y = matrix_out<Scalar>(out, "out", x_in.rows, x_in.cols);
        const py::gil_scoped_release release;
        normalizer.apply(x_in, y);
      },
      py::arg("normalizer"), py::arg("x"), py::arg("out"), "out = normalised observations, rounded once");
}

template void bind_actor<float>(py::module_&);
template void bind_actor<double>(py::module_&);

}  // namespace trpo_fast::core
