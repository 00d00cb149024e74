// How a batch is cut: into slots, the tasks of the threads, and these into blocks of rows, which kernels work on. Both
// cuts depend on the number of rows alone, so that sums come out the same on any number of threads.
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

constexpr Index kBlockRows = 64;   // a block's activations at 64-wide layers stay in the first- and second-level cache
constexpr Index kGroupSlots = 16;  // slots that are computed at a time; no more threads than that find work
constexpr Index kMaxSlotRows = 1024;  // summed in Scalar

inline Index round_up(Index value, Index multiple) { return (value + multiple - 1) / multiple * multiple; }

// Calls f(Rows) for consecutive blocks that cover `rows`.
template <class Function>
void for_each_block(Rows rows, Function&& f) {
  for (Index begin = rows.begin; begin < rows.end; begin += kBlockRows) {
    f(Rows{begin, std::min(begin + kBlockRows, rows.end)});
  }
}

// The slots of n_rows rows: equal but for the last one, whole blocks each.
class Slots {
 public:
  explicit Slots(Index n_rows)
      : n_rows_(n_rows),
        slot_rows_(
            std::clamp(round_up((n_rows + kGroupSlots - 1) / kGroupSlots, kBlockRows), kBlockRows, kMaxSlotRows)) {}

  Index count() const { return (n_rows_ + slot_rows_ - 1) / slot_rows_; }
  Rows rows(Index slot) const { return {slot * slot_rows_, std::min((slot + 1) * slot_rows_, n_rows_)}; }

 private:
  Index n_rows_;
  Index slot_rows_;
};

template <class Scalar>
ConstMatrixView<Scalar> block(ConstMatrixView<Scalar> m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}
template <class Scalar>
MatrixView<Scalar> block(MatrixView<Scalar> m, Rows rows) {
  return {m.data() + rows.begin * m.cols(), rows.size(), m.cols()};
}

}  // namespace trpo_fast
