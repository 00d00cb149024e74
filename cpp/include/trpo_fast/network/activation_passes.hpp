// Activations of whole rows, after a product has written them. (Values of activations are too much code to be compiled
// into each register block.)
//
// The last packet of a row includes its padding.
#pragma once

#include "../types.hpp"
#include "activations.hpp"

namespace trpo_fast {

template <class Scalar>
const Scalar* element_at(const ConstPanel<Scalar>& m, Index row, Index column) {
  return m.data() + row * m.outerStride() + column;
}
template <class Scalar>
Scalar* element_at(const Panel<Scalar>& m, Index row, Index column) {
  return const_cast<Scalar*>(m.data()) + row * m.outerStride() + column;
}

namespace detail {

// kPackets packets are all loaded before the first is stored; otherwise each load would wait for the store before it.
template <int kPackets, class Scalar, class Function>
void map_together(Scalar* row, Index first, Function&& f) {
  using Packet = FullPacket<Scalar>;
  Packet packets[kPackets];
  TRPO_FAST_UNROLL for (int j = 0; j < kPackets; ++j) {
    const Index column = first + j * kLanes<Packet>;
    packets[j] = f(simd::ploadu<Packet>(row + column), column);
  }
  TRPO_FAST_UNROLL for (int j = 0; j < kPackets; ++j) simd::pstoreu(row + first + j * kLanes<Packet>, packets[j]);
}

// m = f(phi, packet of m, row, column) for every packet, unless phi is the identity
template <class Scalar, class Function>
void map_packets(Activation activation, const Panel<Scalar>& m, Function&& f) {
  with_activation(activation, [&](auto phi) {
    if constexpr (phi != Activation::identity) {
      constexpr Index lanes = kLanes<FullPacket<Scalar>>;
      for (Index row = 0; row < m.rows(); ++row) {
        const auto with_phi = [&](const auto& packet, Index column) { return f(phi, packet, row, column); };
        Index column = 0;
        for (; column + 4 * lanes <= m.cols(); column += 4 * lanes) {
          map_together<4>(element_at(m, row, 0), column, with_phi);
        }
        for (; column < m.cols(); column += lanes) map_together<1>(element_at(m, row, 0), column, with_phi);
      }
    }
  });
}

}  // namespace detail

// y = phi(z), in place;   cache = phi'(z) where keeps_derivative()
template <class Scalar>
void apply_activation(Activation activation, const Panel<Scalar>& y, const Panel<Scalar>& cache) {
  detail::map_packets(activation, y, [&](auto phi, const auto& z, Index row, Index column) {
    std::decay_t<decltype(z)> derivative;
    const auto result = activate<phi>(z, derivative);
    if constexpr (keeps_derivative(phi)) simd::pstoreu(element_at(cache, row, column), derivative);
    return result;
  });
}

// dz *= phi'(z), which is computed from `kept` (activations.hpp)
template <class Scalar>
void multiply_by_derivative(Activation activation, const ConstPanel<Scalar>& kept, const Panel<Scalar>& dz) {
  detail::map_packets(activation, dz, [&](auto phi, const auto& packet, Index row, Index column) {
    return times_derivative<phi>(packet, simd::ploadu<std::decay_t<decltype(packet)>>(element_at(kept, row, column)));
  });
}

}  // namespace trpo_fast
