// What recurrent layers share: walking along lanes, and sums of columns.
//
// Gates are side by side, each with its columns padded to cache lines, so that passes over a row use full packets only.
// Parameters of the padding are 0, and so are states, tangents and cotangents in it.
#pragma once

#include <algorithm>

#include "../blocks.hpp"
#include "../kernels/packets.hpp"
#include "../padded_matrix.hpp"
#include "layer.hpp"

namespace trpo_fast {

// to = from (size,), then zeros up to the padding's end; zeros alone where from is null
template <class Scalar>
void copy_padded(const Scalar* from, Index size, Scalar* to) {
  if (from == nullptr) {
    std::fill_n(to, padded<Scalar>(size), Scalar(0));
  } else {
    std::fill(std::copy_n(from, size, to), to + padded<Scalar>(size), Scalar(0));
  }
}

// sums += the sums of the columns of m, a whole number of packets
template <class Scalar>
void add_column_sums(const ConstPanel<Scalar>& m, Scalar* sums) {
  using Packet = FullPacket<Scalar>;
  for (Index column = 0; column < m.cols(); column += kLanes<Packet>) {
    Packet sum = simd::ploadu<Packet>(sums + column);
    for (Index row = 0; row < m.rows(); ++row) {
      sum = simd::padd(sum, simd::ploadu<Packet>(m.data() + row * m.outerStride() + column));
    }
    simd::pstoreu(sums + column, sum);
  }
}

// The steps of a block of sequences, and chunks of as many of them as are a piece (blocks.hpp)
template <class Scalar>
class Steps {
 public:
  explicit Steps(const LayerBlock<Scalar>& at)
      : sequence_(at.sequence),
        num_rows_(at.x.rows()),
        chunk_rows_((std::max)(Index(1), kBlockRows / at.sequence.lanes) * at.sequence.lanes) {}

  Index lanes() const { return sequence_.lanes; }
  Index num_rows() const { return num_rows_; }

  // f(Rows) for each chunk, from the first or the last on
  template <class Function>
  void for_each_chunk(Function&& f) const {
    for (Index begin = 0; begin < num_rows_; begin += chunk_rows_) f(chunk(begin));
  }
  template <class Function>
  void for_each_chunk_reversed(Function&& f) const {
    for (Index begin = (num_rows_ - 1) / chunk_rows_ * chunk_rows_; begin >= 0; begin -= chunk_rows_) f(chunk(begin));
  }
  // f(Rows) for each step of a chunk, in the same two orders
  template <class Function>
  void for_each_step(Rows chunk, Function&& f) const {
    for (Index begin = chunk.begin; begin < chunk.end; begin += lanes()) f(Rows{begin, begin + lanes()});
  }
  template <class Function>
  void for_each_step_reversed(Rows chunk, Function&& f) const {
    for (Index end = chunk.end; end > chunk.begin; end -= lanes()) f(Rows{end - lanes(), end});
  }

  bool is_start(Index row) const { return sequence_.starts != nullptr && sequence_.starts[row] != 0; }

  // The state before step t that a row of it reads: of the lane's former row in `states`, or the lane's first state;
  // null: zeros
  const Scalar* state_before(Index row, const ConstPanel<Scalar>& states) const {
    if (is_start(row)) return nullptr;
    if (row >= lanes()) return states.data() + (row - lanes()) * states.outerStride();
    return sequence_.states + row * sequence_.state_stride;
  }
  // The tangent of the same: the first state is data
  const Scalar* tangent_before(Index row, const ConstPanel<Scalar>& tangents) const {
    return row < lanes() ? nullptr : state_before(row, tangents);
  }

  // Writes the states (size,) after the last step, if they are asked for.
  void write_last(const ConstPanel<Scalar>& states, Index size) const {
    if (sequence_.last_states == nullptr) return;
    for (Index lane = 0; lane < lanes(); ++lane) {
      const Scalar* from = states.data() + (num_rows_ - lanes() + lane) * states.outerStride();
      std::copy_n(from, size, sequence_.last_states + lane * sequence_.state_stride);
    }
  }

 private:
  Rows chunk(Index begin) const { return {begin, (std::min)(begin + chunk_rows_, num_rows_)}; }

  SequenceBlock<Scalar> sequence_;
  Index num_rows_;
  Index chunk_rows_;
};

}  // namespace trpo_fast
