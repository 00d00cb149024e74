// Element-wise activations on packets: the value, and the derivative from what the forward pass stored.
#pragma once

#include <stdexcept>
#include <string>

#include "../kernels/packets.hpp"
#include "trpo_fast/common/activation.hpp"

namespace trpo_fast {

inline Activation activation_from_name(const std::string& name) {
  if (name == "identity") return Activation::identity;
  if (name == "tanh") return Activation::tanh;
  if (name == "relu") return Activation::relu;
  if (name == "elu") return Activation::elu;
  if (name == "silu") return Activation::silu;
  throw std::invalid_argument("activation: expected identity, tanh, relu, elu or silu, got " + name);
}

// The derivative of silu is not a function of its output: the forward pass stores it as well.
constexpr bool keeps_derivative(Activation activation) { return activation == Activation::silu; }

// phi(z); every phi is 0 at 0, so that padding stays 0. `derivative` receives phi'(z) where keeps_derivative().
template <Activation kActivation, class Packet>
Packet activate(const Packet& z, Packet& derivative) {
  const Packet zero = simd::pset1<Packet>(Element<Packet>(0));
  const Packet one = simd::pset1<Packet>(Element<Packet>(1));
  if constexpr (kActivation == Activation::tanh) {
    return tanh(z);
  } else if constexpr (kActivation == Activation::relu) {
    return simd::pmax(z, zero);
  } else if constexpr (kActivation == Activation::elu) {
    // exp(z) - 1 only where z < 0; pmin keeps exp from overflowing where it is not used
    return simd::pselect(simd::pcmp_lt(zero, z), z, simd::psub(exp(simd::pmin(z, zero)), one));
  } else if constexpr (kActivation == Activation::silu) {
    const Packet s = logistic(z);
    const Packet y = simd::pmul(z, s);
    derivative = simd::pmadd(y, simd::psub(one, s), s);  // s + z s (1 - s)
    return y;
  }
  return z;
}

// tangent phi'(z), with `kept` = phi(z), or phi'(z) where keeps_derivative()
template <Activation kActivation, class Packet>
Packet times_derivative(const Packet& tangent, const Packet& kept) {
  const Packet zero = simd::pset1<Packet>(Element<Packet>(0));
  if constexpr (kActivation == Activation::tanh) {
    return simd::pmul(tangent, one_minus_square(kept));
  } else if constexpr (kActivation == Activation::relu) {
    return simd::pselect(simd::pcmp_lt(zero, kept), tangent, zero);
  } else if constexpr (kActivation == Activation::elu) {
    return simd::pmadd(tangent, simd::pmin(kept, zero), tangent);  // 1 where z > 0, else phi + 1
  } else if constexpr (kActivation == Activation::silu) {
    return simd::pmul(tangent, kept);
  }
  return tangent;
}

}  // namespace trpo_fast
