// GradientSum: cotangents of theta summed over the rows of a batch, in Scalar within a slot and in double across slots,
// in an order that does not depend on the number of threads.
#pragma once

#include "../parallel/for_each_slot.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class GradientSum {
 public:
  GradientSum(const Network<Scalar>& network, Index n_rows)
      : network_(network),
        slots_(n_rows),
        partial_(std::min(slots_.count(), kSlots), network.packed_size()),
        sum_(network.packed_size()) {}

  // theta_bar = the sum of what add(Rows, thread, packed_bar) adds to packed_bar, slot by slot
  template <class Function>
  void run(int n_threads,
           double* theta_bar,  // (P,)
           Function&& add) {
    sum_.setZero();
    for (Index first = 0; first < slots_.count(); first += kSlots) {
      const Index last = std::min(first + kSlots, slots_.count());
      for_each_slot(slots_, first, last, n_threads, [&](Index slot, Rows rows, int thread) {
        Panel<Scalar> packed_bar = partial_.panel(slot - first, 1);
        packed_bar.setZero();
        add(rows, thread, packed_bar.data());
      });
      add_partial_sums(last - first, n_threads);
    }
    network_.unpack(sum_.data(), theta_bar);
  }

 private:
  // Each thread takes some parameters, and adds up the slots in order.
  void add_partial_sums(Index count, int n_threads) {
    const Index n_tasks = (sum_.size() + kRangeSize - 1) / kRangeSize;
    ThreadPool::instance().run(n_tasks, n_threads, [&](Index task, int /*thread*/) {
      const Index begin = task * kRangeSize;
      const Index size = std::min(kRangeSize, sum_.size() - begin);
      for (Index slot = 0; slot < count; ++slot) {
        const Scalar* from = partial_.panel(slot, 1).data() + begin;
        for (Index i = 0; i < size; ++i) sum_[begin + i] += double(from[i]);
      }
    });
  }

  static constexpr Index kRangeSize = 1024;

  const Network<Scalar>& network_;
  Slots slots_;
  PaddedMatrix<Scalar> partial_;  // (up to kSlots, packed_size)
  Vector<double> sum_;
};

}  // namespace trpo_fast
