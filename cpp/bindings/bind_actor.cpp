#include <memory>

#include "arrays.hpp"
#include "bindings.hpp"
#include "trpo_fast/actor.hpp"

namespace trpo_fast::bindings {

void bind_normalizer(py::module_& module) {
  py::class_<Normalizer>(module, "Normalizer", py::module_local(), "clip((x - mean) * inv_std, -clip, clip)")
      .def(py::init([](const py::object& mean, const py::object& inv_std, double clip) {
             const auto mean_in = vector_in<double>(mean, "mean", kAnySize);
             const auto inv_std_in = vector_in<double>(inv_std, "inv_std", mean_in.size());
             if (!(clip > 0.0)) throw py::value_error("clip: expected a number > 0, got " + std::to_string(clip));
             return std::make_unique<Normalizer>(mean_in, inv_std_in, clip);
           }),
           py::arg("mean"), py::arg("inv_std"), py::arg("clip"));
}

template <class Scalar>
void bind_actor(py::module_& module) {
  using A = Actor<Scalar>;
  struct Sized {  // an actor and the sizes its arguments must have
    Sized(const Network<Scalar>& network, const Distribution<Scalar>& distribution)
        : num_params(network.num_params()),
          obs_size(network.input_size()),
          action_size(distribution.action_size()),
          actor(network, distribution) {}
    Index num_params, obs_size, action_size;
    A actor;
  };
  py::class_<Sized>(module, "Actor", py::module_local(), "Normalise, forward, sample: one call an environment step")
      .def(py::init([](const Network<Scalar>& network, const Distribution<Scalar>& distribution) {
             expect_size("network", "output size", distribution.num_dist_params(), network.output_size());
             return std::make_unique<Sized>(network, distribution);
           }),
           py::arg("network"), py::arg("distribution"), py::keep_alive<1, 2>(), py::keep_alive<1, 3>())
      .def(
          "act",
          [](Sized& self, const Normalizer& normalizer, const py::object& theta, const py::object& observations,
             const py::object& noise, const py::object& out) {
            const auto theta_in = vector_in<Scalar>(theta, "theta", self.num_params);
            const auto x = matrix_in<double>(observations, "observations", kAnySize, self.obs_size);
            const auto actions = matrix_out<Scalar>(out, "out", x.rows(), self.action_size);
            const auto noise_in = noise.is_none() ? ConstMatrixView<Scalar>(nullptr, 0, 0)
                                                  : matrix_in<Scalar>(noise, "noise", x.rows(), self.action_size);
            expect_size("normalizer", "size", self.obs_size, normalizer.size());
            self.actor.act(normalizer, theta_in.data(), x, noise_in, actions);
          },
          py::arg("normalizer"), py::arg("theta"), py::arg("observations"), py::arg("noise"), py::arg("out"),
          "out = actions sampled with the given noise, or the most probable ones if noise is None");
  module.def(
      "normalize",
      [](const Normalizer& normalizer, const py::object& x, const py::object& out) {
        const auto x_in = matrix_in<double>(x, "x", kAnySize, normalizer.size());
        const auto y = matrix_out<Scalar>(out, "out", x_in.rows(), x_in.cols());
        const py::gil_scoped_release release;
        for_each_block({0, x_in.rows()}, [&](Rows rows) { normalizer.apply(block(x_in, rows), block(y, rows)); });
      },
      py::arg("normalizer"), py::arg("x"), py::arg("out"), "out = normalised observations, rounded once");
}

template void bind_actor<float>(py::module_&);
template void bind_actor<double>(py::module_&);

}  // namespace trpo_fast::bindings
