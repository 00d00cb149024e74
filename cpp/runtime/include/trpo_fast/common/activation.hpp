// The activations of layers, by name.
#pragma once

#include <cstdint>
#include <type_traits>

namespace trpo_fast {

enum class Activation : std::uint8_t { identity, tanh, relu, elu, silu };

// f(the activation as a constant), for a branch outside of loops instead of inside.
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

}  // namespace trpo_fast
