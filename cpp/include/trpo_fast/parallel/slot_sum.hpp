// SlotSum: a vector summed over the rows of a batch, in Scalar within a slot and in double across slots, in an order
// that does not depend on the number of threads (slot_tree.hpp).
#pragma once

#include "../padded_matrix.hpp"
#include "for_each_slot.hpp"
#include "slot_tree.hpp"

namespace trpo_fast {

template <class Scalar>
class SlotSum {
 public:
  SlotSum(Index size, const RowBlocks& blocks)
      : blocks_(blocks),
        partial_((std::min)(blocks.num_slots(), kGroupSlots), size),
        stack_(static_cast<std::size_t>(slot_stack_size(blocks.num_slots())), Vector<double>(size)) {}

  // The sum of what add(Rows, thread, partial) adds to partial, block by block; valid until the next run.
  template <class Function>
  const Vector<double>& run(int n_threads, Function&& add) {
    for_each_group(blocks_.num_slots(), [&](Index first, Index end, Index top, Index n_merges) {
      for_each_slot(blocks_, first, end, n_threads, [&](Index slot, Rows slot_rows, int thread) {
        Panel<Scalar> partial = partial_.panel(slot - first, 1);
        partial.setZero();
        blocks_.for_each_block(slot_rows, [&](Rows rows) { add(rows, thread, partial.data()); });
      });
      add_group(end - first, top, n_merges, n_threads);
    });
    return stack_.front();
  }

 private:
  // Each thread takes some elements: adds up the slots of a group in order, then nodes of the tree.
  void add_group(Index n_slots, Index top, Index n_merges, int n_threads) {
    const Index size = stack_.front().size();
    const Index n_tasks = (size + kRangeSize - 1) / kRangeSize;
    ThreadPool::instance().run(n_tasks, n_threads, [&](Index task, int /*thread*/) {
      const Index begin = task * kRangeSize, n = (std::min)(kRangeSize, size - begin);
      double* sum = place(top) + begin;
      std::fill_n(sum, n, 0.0);
      for (Index slot = 0; slot < n_slots; ++slot) add_to(sum, partial_.panel(slot, 1).data() + begin, n);
      for (Index i = 0; i < n_merges; ++i) add_to(place(top - i - 1) + begin, place(top - i) + begin, n);
    });
  }

  template <class T>
  static void add_to(double* to, const T* from, Index n) {
    for (Index i = 0; i < n; ++i) to[i] += double(from[i]);
  }

  double* place(Index i) { return stack_[static_cast<std::size_t>(i)].data(); }

  static constexpr Index kRangeSize = 1024;

  RowBlocks blocks_;
  PaddedMatrix<Scalar> partial_;       // (up to kGroupSlots, size)
  std::vector<Vector<double>> stack_;  // nodes of the tree, (size,) each; the sum of all slots comes to the first
};

}  // namespace trpo_fast
