// SlotSum: a vector summed over the rows of a batch, in Scalar within a slot and in double across slots, in an order
// that does not depend on the number of threads.
#pragma once

#include "../padded_matrix.hpp"
#include "for_each_slot.hpp"

namespace trpo_fast {

template <class Scalar>
class SlotSum {
 public:
  SlotSum(Index size, Index n_rows) : slots_(n_rows), partial_(std::min(slots_.count(), kSlots), size), sum_(size) {}

  // The sum of what add(Rows, thread, partial) adds to partial, slot by slot; valid until the next run.
  template <class Function>
  const Vector<double>& run(int n_threads, Function&& add) {
    sum_.setZero();
    for (Index first = 0; first < slots_.count(); first += kSlots) {
      const Index last = std::min(first + kSlots, slots_.count());
      for_each_slot(slots_, first, last, n_threads, [&](Index slot, Rows rows, int thread) {
        Panel<Scalar> partial = partial_.panel(slot - first, 1);
        partial.setZero();
        add(rows, thread, partial.data());
      });
      add_partial_sums(last - first, n_threads);
    }
    return sum_;
  }

 private:
  // Each thread takes some elements, and adds up the slots in order.
  void add_partial_sums(Index count, int n_threads) {
    const Index n_tasks = (sum_.size() + kRangeSize - 1) / kRangeSize;
    ThreadPool::instance().run(n_tasks, n_threads, [&](Index task, int /*thread*/) {
      const Index begin = task * kRangeSize;
      const Index size = std::min(kRangeSize, sum_.size() - begin);
      double* to = sum_.data() + begin;
      for (Index slot = 0; slot < count; ++slot) {
        const Scalar* from = partial_.panel(slot, 1).data() + begin;
        for (Index i = 0; i < size; ++i) to[i] += double(from[i]);
      }
    });
  }

  static constexpr Index kRangeSize = 1024;

  Slots slots_;
  PaddedMatrix<Scalar> partial_;  // (up to kSlots, size)
  Vector<double> sum_;
};

}  // namespace trpo_fast
