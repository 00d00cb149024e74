// Panels: how a matrix B (depth, n) is stored so that a product A B reads it in order. Columns are cut into panels as
// wide as a register block; a panel is contiguous, row after row.
//
//   n columns = full panels of kBlockPackets packets | one of fewer full packets | one narrow packet for the last few
//
// Columns of a narrow packet beyond n are padding: zero in B, and so in every product.
#pragma once

#include <algorithm>
#include <type_traits>

#include "packets.hpp"

namespace trpo_fast {

// Packets of columns in a register block. Its number of rows leaves registers for a row of B and an element of A: 6 x 4
// accumulators in 32 registers, 6 x 2 in 16.
#if defined(EIGEN_VECTORIZE_AVX512) || defined(EIGEN_VECTORIZE_NEON)
constexpr int kBlockPackets = 4;
#else
constexpr int kBlockPackets = 2;
#endif
// A single packet of columns needs more rows to keep the multiply-add units busy.
constexpr int block_rows(int packets) { return packets == 1 ? 8 : 6; }

template <class PacketType, int kNumPackets>
struct PanelShape {
  using Packet = PacketType;
  static constexpr int kPackets = kNumPackets;
  static constexpr int kRows = block_rows(kNumPackets);
  static constexpr Index kWidth = kNumPackets * kLanes<Packet>;
};

namespace detail {

// f(shape) for `packets` full packets, 1 <= packets <= Most
template <class Scalar, int Most, class Function>
void with_packets(Index packets, Function&& f) {
  if constexpr (Most > 1) {
    if (packets < Most) return with_packets<Scalar, Most - 1>(packets, f);
  }
  f(PanelShape<FullPacket<Scalar>, Most>{});
}

// f(shape) for the narrowest packet that holds `columns`
template <class Scalar, class Function>
void with_narrow_packet(Index columns, Function&& f) {
  using Full = FullPacket<Scalar>;
  using Half = HalfPacket<Full>;
  using Quarter = QuarterPacket<Scalar>;
  if (!std::is_same_v<Quarter, Half> && columns <= kLanes<Quarter>) return f(PanelShape<Quarter, 1>{});
  if (!std::is_same_v<Half, Full> && columns <= kLanes<Half>) return f(PanelShape<Half, 1>{});
  f(PanelShape<Full, 1>{});
}

}  // namespace detail

// Calls f(shape, first column) for every panel of n columns, in order.
template <class Scalar, class Function>
void for_each_panel(Index n, Function&& f) {
  constexpr Index lanes = kLanes<FullPacket<Scalar>>;
  Index column = 0;
  while (n - column >= lanes) {
    const Index packets = std::min<Index>(kBlockPackets, (n - column) / lanes);
    detail::with_packets<Scalar, kBlockPackets>(packets, [&](auto shape) { f(shape, column); });
    column += packets * lanes;
  }
  if (column < n) detail::with_narrow_packet<Scalar>(n - column, [&](auto shape) { f(shape, column); });
}

// Columns of the panels of n columns, including padding.
template <class Scalar>
Index panel_columns(Index n) {
  Index columns = 0;
  for_each_panel<Scalar>(n, [&](auto shape, Index /*column*/) { columns += shape.kWidth; });
  return columns;
}

// f(index into the panels, row, column) for every element of a (depth, n) matrix, without the padding
template <class Scalar, class Function>
void for_each_panel_element(Index depth, Index n, Function&& f) {
  for_each_panel<Scalar>(n, [&](auto shape, Index first) {
    const Index width = std::min<Index>(shape.kWidth, n - first);
    for (Index k = 0; k < depth; ++k) {
      for (Index j = 0; j < width; ++j) f(first * depth + k * shape.kWidth + j, k, first + j);
    }
  });
}

}  // namespace trpo_fast
