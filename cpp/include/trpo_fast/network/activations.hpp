// Element-wise activations on packets: the value, and the derivative from what the forward pass kept.
#pragma once

#include <stdexcept>
#include <string>

#include "../kernels/packets.hpp"

namespace trpo_fast {

enum class Activation { identity, tanh, relu, elu, silu };

inline Activation activation_from_name(const std::string& name) {
  if (name == "identity") return Activation::identity;
  if (name == "tanh") return Activation::tanh;
  if (name == "relu") return Activation::relu;
  if (name == "elu") return Activation::elu;
  if (name == "silu") return Activation::silu;
  throw std::invalid_argument("activation: expected identity, tanh, relu, elu or silu, got " + name);
}

// silu alone cannot be differentiated from its output; it keeps its derivative beside it.
inline bool keeps_derivative(Activation activation) { return activation == Activation::silu; }

// phi(z); every phi is 0 at 0, so that padding stays 0. `derivative` receives phi'(z) where keeps_derivative().
template <class Packet>
Packet activate(Activation activation, const Packet& z, Packet& derivative) {
  const Packet zero = simd::pset1<Packet>(Element<Packet>(0));
  const Packet one = simd::pset1<Packet>(Element<Packet>(1));
  switch (activation) {
    case Activation::identity:
      break;
    case Activation::tanh:
      return tanh(z);
    case Activation::relu:
      return simd::pmax(z, zero);
    case Activation::elu:
      // exp(z) - 1 only where z < 0; pmin keeps exp from overflowing where it is not used
      return simd::pselect(simd::pcmp_lt(zero, z), z, simd::psub(exp(simd::pmin(z, zero)), one));
    case Activation::silu: {
      const Packet sigmoid = simd::pdiv(one, simd::padd(one, exp(simd::pnegate(z))));
      const Packet y = simd::pmul(z, sigmoid);
      derivative = simd::pmadd(y, simd::psub(one, sigmoid), sigmoid);  // sigma + z sigma (1 - sigma)
      return y;
    }
  }
  return z;
}

// tangent phi'(z), with `kept` = phi(z), or phi'(z) where keeps_derivative()
template <class Packet>
Packet times_derivative(Activation activation, const Packet& tangent, const Packet& kept) {
  const Packet zero = simd::pset1<Packet>(Element<Packet>(0));
  switch (activation) {
    case Activation::identity:
      break;
    case Activation::tanh:
      return simd::pmul(tangent, one_minus_square(kept));
    case Activation::relu:
      return simd::pselect(simd::pcmp_lt(zero, kept), tangent, zero);
    case Activation::elu:
      return simd::pmadd(tangent, simd::pmin(kept, zero), tangent);  // 1 where z > 0, else phi + 1
    case Activation::silu:
      return simd::pmul(tangent, kept);
  }
  return tangent;
}

}  // namespace trpo_fast
