// The activations of hidden layers.
#pragma once

#include <cstdint>
#include <type_traits>

#include "lanes.hpp"

namespace trpo_fast::runtime {

enum class Activation : std::uint8_t { identity, tanh, relu, elu, silu };

template <Activation kActivation>
Lanes activate(const Lanes& z) {
  const Lanes zero{};
  if constexpr (kActivation == Activation::tanh) {
    return tanh(z);
  } else if constexpr (kActivation == Activation::relu) {
    return at_least(zero, z);
  } else if constexpr (kActivation == Activation::elu) {
    return z > zero ? z : exp(at_most(zero, z)) - 1.0f;
  } else if constexpr (kActivation == Activation::silu) {
    return (z < -87.0f ? zero : z) / (1.0f + exp(-z));  // beyond, exp stays where it is
  } else {
    return z;
  }
}

// f(the activation as a constant): outside of loops, so that there is no branch within.
template <class Function>
void with_activation(Activation activation, Function&& f) {
  switch (activation) {
    case Activation::identity:
      return f(std::integral_constant<Activation, Activation::identity>{});
    case Activation::tanh:
      return f(std::integral_constant<Activation, Activation::tanh>{});
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>{});
    case Activation::elu:
      return f(std::integral_constant<Activation, Activation::elu>{});
    case Activation::silu:
      return f(std::integral_constant<Activation, Activation::silu>{});
  }
}

}  // namespace trpo_fast::runtime
