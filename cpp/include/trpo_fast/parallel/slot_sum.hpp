// SlotSum: a vector summed over the rows of a batch, in Scalar within a slot and in double across slots, in an order
// that does not depend on the number of threads (slot_tree.hpp).
#pragma once

#include <algorithm>

#include "../padded_matrix.hpp"
#include "for_each_slot.hpp"
#include "slot_tree.hpp"

namespace trpo_fast {

// The partial sums that a vector of that size should have: no more than threads can use, if they are large.
inline Index num_partials(Index size, int n_threads) {
  constexpr Index large = Index(1) << 20;
  return size < large ? kGroupSlots : (std::min)(kGroupSlots, Index(2 * n_threads));
}

template <class Scalar>
class SlotSum {
 public:
  // n_partials: of how many slots sums are stored at a time; the result does not depend on it
  SlotSum(Index size, const RowBlocks& blocks, Index n_partials = kGroupSlots)
      : blocks_(blocks),
        partial_((std::min)({blocks.num_slots(), kGroupSlots, n_partials}), size),
        stack_(static_cast<std::size_t>(slot_stack_size(blocks.num_slots())), Vector<double>(size)) {}

  // The sum of what add(Rows, thread, partial) adds to partial, block by block; valid until the next run.
  template <class Function>
  const Vector<double>& run(int n_threads, Function&& add) {
    for_each_group(blocks_.num_slots(), [&](Index first, Index end, Index top, Index n_merges) {
      for (Index begin = first; begin < end; begin += partial_.rows()) {
        const Index stop = (std::min)(begin + partial_.rows(), end);
        for_each_slot(blocks_, begin, stop, n_threads, [&](Index slot, Rows slot_rows, int thread) {
          Panel<Scalar> partial = partial_.panel(slot - begin, 1);
          partial.setZero();
          blocks_.for_each_block(slot_rows, [&](Rows rows) { add(rows, thread, partial.data()); });
        });
        add_slots(stop - begin, begin == first, top, stop == end ? n_merges : 0, n_threads);
      }
    });
    return stack_.front();
  }

 private:
  // Each thread takes some elements: adds slots to the sum of their group in order, then up the tree.
  void add_slots(Index n_slots, bool begins_group, Index top, Index n_merges, int n_threads) {
    const Index size = stack_.front().size();
    const Index n_tasks = (size + kRangeSize - 1) / kRangeSize;
    ThreadPool::instance().run(n_tasks, n_threads, [&](Index task, int /*thread*/) {
      const Index begin = task * kRangeSize, n = (std::min)(kRangeSize, size - begin);
      double* sum = place(top) + begin;
      if (begins_group) std::fill_n(sum, n, 0.0);
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
  PaddedMatrix<Scalar> partial_;       // of consecutive slots of a group, (up to kGroupSlots, size)
  std::vector<Vector<double>> stack_;  // nodes of the tree, (size,) each; the sum of all slots comes to the first
};

}  // namespace trpo_fast
