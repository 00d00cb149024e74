#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "core/distributions.hpp"

namespace trpo_fast::core {
namespace {

template <class Scalar>
Matrix<const Scalar> dist_params_in(const Distribution<Scalar>& self, const py::object& phi, const char* name,
                                    Index rows = kAnySize) {
  return matrix_in<Scalar>(phi, name, rows, self.num_dist_params());
}

template <class Scalar>
Matrix<const Scalar> actions_in(const Distribution<Scalar>& self, const py::object& actions, Index rows) {
  const auto in = matrix_in<Scalar>(actions, "actions", rows, self.action_size());
  self.check_actions(in);
  return in;
}

double* zeroed_out(const py::object& out, Index rows) {
  double* const data = vector_out<double>(out, "out", rows).data;
  std::fill_n(data, rows, 0.0);
  return data;
}

template <class Scalar>
void bind_interface(py::module_& module) {
  using D = Distribution<Scalar>;
  py::class_<D, std::shared_ptr<D>>(module, "Distribution", py::module_local(), "pi(a | phi) over rows of parameters")
      .def_property_readonly("num_dist_params", &D::num_dist_params)
      .def_property_readonly("action_size", &D::action_size)
      .def(
          "log_prob",
          [](const D& self, const py::object& phi, const py::object& actions, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.log_prob(p, actions_in(self, actions, p.rows), zeroed_out(out, p.rows));
          },
          py::arg("phi"), py::arg("actions"), py::arg("out"))
      .def(
          "log_ratio",
          [](const D& self, const py::object& p, const py::object& q, const py::object& actions,
             const py::object& out) {
            const auto p_in = dist_params_in(self, p, "p");
            const auto q_in = dist_params_in(self, q, "q", p_in.rows);
            self.log_ratio(p_in, q_in, actions_in(self, actions, p_in.rows), zeroed_out(out, p_in.rows));
          },
          py::arg("p"), py::arg("q"), py::arg("actions"), py::arg("out"))
      .def(
          "log_prob_vjp",
          [](const D& self, const py::object& phi, const py::object& actions, const py::object& weight,
             const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.log_prob_vjp(p, actions_in(self, actions, p.rows), vector_in<double>(weight, "weight", p.rows).data,
                              matrix_out<Scalar>(out, "out", p.rows, p.cols));
          },
          py::arg("phi"), py::arg("actions"), py::arg("weight"), py::arg("out"))
      .def(
          "kl_divergence",
          [](const D& self, const py::object& p, const py::object& q, const py::object& out) {
            const auto p_in = dist_params_in(self, p, "p");
            const auto q_in = dist_params_in(self, q, "q", p_in.rows);
            self.kl_divergence(p_in, q_in, zeroed_out(out, p_in.rows));
          },
          py::arg("p"), py::arg("q"), py::arg("out"))
      .def(
          "entropy",
          [](const D& self, const py::object& phi, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.entropy(p, zeroed_out(out, p.rows));
          },
          py::arg("phi"), py::arg("out"))
      .def(
          "entropy_vjp",
          [](const D& self, const py::object& phi, double weight, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            auto phi_bar = matrix_out<Scalar>(out, "out", p.rows, p.cols);
            std::fill_n(phi_bar.data, phi_bar.rows * phi_bar.cols, Scalar(0));
            self.entropy_vjp(p, weight, phi_bar);
          },
          py::arg("phi"), py::arg("weight"), py::arg("out"))
      .def(
          "fisher_metric",
          [](const D& self, const py::object& phi, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.fisher_metric(p, matrix_out<Scalar>(out, "out", p.rows, p.cols));
          },
          py::arg("phi"), py::arg("out"))
      .def(
          "multiply_fisher",
          [](const D& self, const py::object& metric, const py::object& dphi, const py::object& out) {
            const auto m = dist_params_in(self, metric, "metric");
            self.multiply_fisher(m, dist_params_in(self, dphi, "dphi", m.rows),
                                 matrix_out<Scalar>(out, "out", m.rows, m.cols));
          },
          py::arg("metric"), py::arg("dphi"), py::arg("out"))
      .def(
          "sample",
          [](const D& self, const py::object& phi, const py::object& noise, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.sample(p, matrix_in<Scalar>(noise, "noise", p.rows, self.action_size()),
                        matrix_out<Scalar>(out, "out", p.rows, self.action_size()));
          },
          py::arg("phi"), py::arg("noise"), py::arg("out"))
      .def(
          "mode",
          [](const D& self, const py::object& phi, const py::object& out) {
            const auto p = dist_params_in(self, phi, "phi");
            self.mode(p, matrix_out<Scalar>(out, "out", p.rows, self.action_size()));
          },
          py::arg("phi"), py::arg("out"));
}

// A distribution that is constructed from one size.
template <class D, class Scalar>
void bind_sized(py::module_& module, const char* name, const char* size_name, const char* doc) {
  py::class_<D, Distribution<Scalar>, std::shared_ptr<D>>(module, name, py::module_local(), doc)
      .def(py::init([size_name](Index size) { return std::make_shared<D>(checked_size(size, size_name)); }),
           py::arg(size_name));
}

}  // namespace

template <class Scalar>
void bind_distributions(py::module_& module) {
  bind_interface<Scalar>(module);
  bind_sized<DiagGaussian<Scalar>, Scalar>(module, "DiagGaussian", "size", "phi = [mean, log_std]");
  bind_sized<Categorical<Scalar>, Scalar>(module, "Categorical", "num_choices", "phi = logits of one choice");
  bind_sized<Bernoulli<Scalar>, Scalar>(module, "Bernoulli", "num_bits", "phi = logits of independent bits");
  bind_sized<UnitGaussian<Scalar>, Scalar>(module, "UnitGaussian", "size", "phi = mean, with variances of 1");
  using P = Product<Scalar>;
  py::class_<P, Distribution<Scalar>, std::shared_ptr<P>>(module, "Product", py::module_local(),
                                                          "Independent factors in adjacent columns")
      .def(py::init([](const std::vector<std::shared_ptr<Distribution<Scalar>>>& factors) {
             check_parts(factors, "factors");
             return std::make_shared<P>(factors);
           }),
           py::arg("factors"));
}

template void bind_distributions<float>(py::module_&);
template void bind_distributions<double>(py::module_&);

}  // namespace trpo_fast::core
