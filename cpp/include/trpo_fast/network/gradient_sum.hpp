// GradientSum: cotangents of theta summed over the rows of a batch, in Scalar within a slot and in double across slots,
// in an order that does not depend on the number of threads.
#pragma once

#include <vector>

#include "../parallel/for_each_slot.hpp"
#include "network.hpp"

namespace trpo_fast {

template <class Scalar>
class GradientSum {
 public:
  GradientSum(const Network<Scalar>& network, Index n_rows)
      : network_(network),
        slots_(n_rows),
        partial_(static_cast<std::size_t>(std::min(slots_.count(), kSlots)),
                 Vector<Scalar>::Zero(network.packed_size())),
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
        Vector<Scalar>& packed_bar = partial_[static_cast<std::size_t>(slot - first)];
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
        sum_.segment(begin, size) +=
            partial_[static_cast<std::size_t>(slot)].segment(begin, size).template cast<double>();
      }
    });
  }

  static constexpr Index kRangeSize = 1024;

  const Network<Scalar>& network_;
  Slots slots_;
  std::vector<Vector<Scalar>> partial_;  // of up to kSlots slots
  Vector<double> sum_;
};

}  // namespace trpo_fast
