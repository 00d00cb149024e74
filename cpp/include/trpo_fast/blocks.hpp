// How a batch is cut into blocks of rows. Every kernel works on one block at a time, in this order.
#pragma once

#include <algorithm>

#include "types.hpp"

namespace trpo_fast {

// A half-open range of batch rows. Blocks of feed-forward networks may start anywhere; a recurrent layer will need
// blocks that start at a sequence start, which is decided here and nowhere else.
struct Rows {
  Index begin;
  Index end;
  Index size() const { return end - begin; }
};

constexpr Index kBlockRows = 256;  // a block's activations at 64-wide layers stay in L2

// Asked before each block; may throw to stop a long call (the Python binding polls for Ctrl-C). Set once, at start-up.
inline void (*interrupt_hook)() = nullptr;

inline void poll_interrupt() {
  if (interrupt_hook != nullptr) interrupt_hook();
}

// Calls f(Rows) for consecutive blocks that cover [0, n_rows), and cannot be interrupted.
template <class Function>
void for_each_block_uninterrupted(Index n_rows, Function&& f) {
  for (Index begin = 0; begin < n_rows; begin += kBlockRows) f(Rows{begin, std::min(begin + kBlockRows, n_rows)});
}

// The same, for what may take long.
template <class Function>
void for_each_block(Index n_rows, Function&& f) {
  for_each_block_uninterrupted(n_rows, [&](Rows rows) {
    poll_interrupt();
    f(rows);
  });
}

template <class Scalar>
ConstMatrixView<Scalar> block(const RowMatrix<Scalar>& m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}
template <class Scalar>
MatrixView<Scalar> block(RowMatrix<Scalar>& m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}
template <class Scalar>
ConstMatrixView<Scalar> block(ConstMatrixView<Scalar> m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}
template <class Scalar>
MatrixView<Scalar> block(MatrixView<Scalar> m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}

}  // namespace trpo_fast
