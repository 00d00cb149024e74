// One function per area. Those with a scalar type are called once per submodule, float32 and float64, and bind the same
// names into both.
#pragma once

#include <pybind11/pybind11.h>

namespace trpo_fast::core {

void bind_normalizer(pybind11::module_& module);
void bind_area_resize(pybind11::module_& module);
void bind_conjugate_gradient(pybind11::module_& module);
void bind_images(pybind11::module_& module);

template <class Scalar>
void bind_network(pybind11::module_& module);
template <class Scalar>
void bind_distributions(pybind11::module_& module);
template <class Scalar>
void bind_objectives(pybind11::module_& module);
template <class Scalar>
void bind_fisher(pybind11::module_& module);
template <class Scalar>
void bind_kfac(pybind11::module_& module);
template <class Scalar>
void bind_value_fit(pybind11::module_& module);
template <class Scalar>
void bind_actor(pybind11::module_& module);

}  // namespace trpo_fast::core
