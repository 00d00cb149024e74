// Packets: SIMD registers through Eigen's primitives, and element-wise functions of them. An element's result depends
// on its value alone: not on its lane and, on processors with fused multiply-add, not on the width of the packet.
#pragma once

#include <cmath>

#include "../types.hpp"
#include "trpo_fast/common/unroll.hpp"

namespace trpo_fast {

namespace simd = Eigen::internal;  // ploadu, pmadd, pset1, ...

template <class Packet>
using Element = typename simd::unpacket_traits<Packet>::type;
template <class Packet>
constexpr Index kLanes = simd::unpacket_traits<Packet>::size;

template <class Scalar>
using FullPacket = typename simd::packet_traits<Scalar>::type;
template <class Packet>
using HalfPacket = typename simd::unpacket_traits<Packet>::half;  // the packet itself where it has no half
template <class Scalar>
using QuarterPacket = HalfPacket<HalfPacket<FullPacket<Scalar>>>;

// 1 - y y, rounded once on processors with fused multiply-add
template <class Packet>
Packet one_minus_square(const Packet& y) {
  return simd::pmadd(simd::pnegate(y), y, simd::pset1<Packet>(Element<Packet>(1)));
}

template <class Packet>
Packet exp(const Packet& x) {
  if constexpr (kLanes<Packet> == 1) {
    return std::exp(x);
  } else if constexpr (sizeof(Element<Packet>) == 4) {
    return simd::pexp_float(x);
  } else {
    return simd::pexp_double(x);
  }
}

// 1 / (1 + exp(-x))
template <class Packet>
Packet logistic(const Packet& x) {
  const Packet one = simd::pset1<Packet>(Element<Packet>(1));
  return simd::pdiv(one, simd::padd(one, exp(simd::pnegate(x))));
}

// Within 3 units in the last place: Eigen 3.4 has a vectorised tanh in float only.
template <class Packet>
Packet tanh_double(const Packet& x) {
  const auto constant = [](double value) { return simd::pset1<Packet>(value); };
  const Packet magnitude = simd::pabs(x);
  // |x| < 0.625: x + x z P(z) / Q(z), z = x x (Moshier, Cephes, tanh.c)
  const Packet z = simd::pmul(x, x);
  Packet p = simd::pmadd(constant(-9.64399179425052238628e-1), z, constant(-9.92877231001918586564e1));
  p = simd::pmadd(p, z, constant(-1.61468768441708447952e3));
  Packet q = simd::padd(z, constant(1.12811678491632931402e2));
  q = simd::pmadd(q, z, constant(2.23548839060100448583e3));
  q = simd::pmadd(q, z, constant(4.84406305325125486048e3));
  const Packet near_zero = simd::pmadd(simd::pmul(x, z), simd::pdiv(p, q), x);
  // else 1 - 2 / (exp(2 |x|) + 1), with the sign of x
  const Packet denominator = simd::padd(exp(simd::padd(magnitude, magnitude)), constant(1.0));
  const Packet far = simd::psub(constant(1.0), simd::pdiv(constant(2.0), denominator));
  const Packet signed_far = simd::pselect(simd::pcmp_lt(x, constant(0.0)), simd::pnegate(far), far);
  return simd::pselect(simd::pcmp_lt(magnitude, constant(0.625)), near_zero, signed_far);
}

template <class Packet>
Packet tanh(const Packet& x) {
  if constexpr (kLanes<Packet> == 1) {
    return std::tanh(x);
  } else if constexpr (sizeof(Element<Packet>) == 4) {
    return simd::generic_fast_tanh_float(x);  // within 5 units in the last place
  } else {
    return tanh_double(x);
  }
}

}  // namespace trpo_fast
