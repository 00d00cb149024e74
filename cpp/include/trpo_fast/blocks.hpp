// How the rows of a batch are cut: into blocks, which layers work on, and slots, runs of whole blocks, which are the
// tasks of the threads.
#pragma once

#include <algorithm>

#include "types.hpp"

namespace trpo_fast {

// A half-open range of batch rows.
struct Rows {
  Index begin;
  Index end;
  Index size() const { return end - begin; }
};

constexpr Index kBlockRows = 64;   // a block's activations at 64-wide layers stay in the first- and second-level cache
constexpr Index kGroupSlots = 16;  // slots whose sums are stored at a time
constexpr Index kMaxSlotRows = 1024;  // the largest slot, whose sum is in Scalar; at least one block

inline Index round_up(Index value, Index multiple) { return (value + multiple - 1) / multiple * multiple; }

// RowBlocks: the cut of a batch. It depends on n_rows and block_rows alone, so that sums are the same on any number of
// threads.
//
// The rows of a feed-forward network may be cut anywhere. In a batch of sequences every block_rows rows are whole
// sequences (sequences.hpp).
class RowBlocks {
 public:
  explicit RowBlocks(Index n_rows, Index block_rows = kBlockRows)
      : n_rows_(n_rows),
        block_rows_(block_rows),
        slot_rows_(std::clamp(round_up((n_rows + kGroupSlots - 1) / kGroupSlots, block_rows), block_rows,
                              (std::max)(block_rows, kMaxSlotRows / block_rows * block_rows))) {}

  Index num_rows() const { return n_rows_; }
  Index block_rows() const { return block_rows_; }  // of every block but the last, which may have fewer

  Index num_slots() const { return (n_rows_ + slot_rows_ - 1) / slot_rows_; }
  Rows slot(Index i) const { return {i * slot_rows_, (std::min)((i + 1) * slot_rows_, n_rows_)}; }

  // f(Rows) for each block of a slot, in order
  template <class Function>
  void for_each_block(Rows slot, Function&& f) const {
    for (Index begin = slot.begin; begin < slot.end; begin += block_rows_) {
      f(Rows{begin, (std::min)(begin + block_rows_, slot.end)});
    }
  }

 private:
  Index n_rows_;
  Index block_rows_;
  Index slot_rows_;  // whole blocks
};

// f(Rows) for consecutive pieces of up to kBlockRows rows: for functions of single rows, which may keep arrays of that
// size on the stack.
template <class Function>
void for_each_piece(Rows rows, Function&& f) {
  for (Index begin = rows.begin; begin < rows.end; begin += kBlockRows) {
    f(Rows{begin, (std::min)(begin + kBlockRows, rows.end)});
  }
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
