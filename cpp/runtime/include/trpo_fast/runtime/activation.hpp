// The activations of hidden layers.
#pragma once

#include "../common/activation.hpp"
#include "lanes.hpp"

namespace trpo_fast::runtime {

using trpo_fast::Activation;

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

// Of n numbers in place, and of what is behind them up to whole registers.
template <Activation kActivation>
void activate(float* z, int n) {
  for (int i = 0; i < n; i += kLanes) store(activate<kActivation>(load(z + i)), z + i);
}

}  // namespace trpo_fast::runtime
