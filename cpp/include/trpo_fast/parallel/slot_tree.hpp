// The order in which the sums of slots are added, always in double. It depends on the number of slots alone, so that
// the result does not depend on who computed which slots:
//
//   leaves: groups of kGroupSlots consecutive slots, each added up from left to right, starting from 0
//   node (l, i) = node (l - 1, 2 i) + node (l - 1, 2 i + 1); without a right child, the left one alone
#pragma once

#include <vector>

#include "../blocks.hpp"

namespace trpo_fast {

// Visits the groups of n_slots slots in order, for a stack of sums that holds complete nodes only. For each group it
// calls f(first slot, last slot + 1, top, n_merges): the sum of the group goes to place `top` of the stack, and then
// n_merges times the sum at the top is added to the one below it, which becomes the top. At the end, place 0 holds the
// sum of all slots.
template <class Function>
void for_each_group(Index n_slots, Function&& f) {
  Index size = 0;  // of the stack
  for (Index group = 0, first = 0; first < n_slots; ++group, first += kGroupSlots) {
    const Index end = (std::min)(first + kGroupSlots, n_slots);
    Index n_merges = 0;
    for (Index bits = group; bits % 2 == 1; bits /= 2) ++n_merges;  // the group completes a node per trailing one
    if (end == n_slots) n_merges = size;                            // the last group completes all
    f(first, end, size, n_merges);
    size += 1 - n_merges;
  }
}

// The most places of that stack
inline Index slot_stack_size(Index n_slots) {
  Index size = 1;
  for (Index n_groups = (n_slots + kGroupSlots - 1) / kGroupSlots; n_groups > 1; n_groups /= 2) ++size;
  return size;
}

// The sum of one value per slot; Value{} is 0
template <class Value>
Value add_up_slots(const std::vector<Value>& slots) {
  const auto n_slots = static_cast<Index>(slots.size());
  std::vector<Value> stack(static_cast<std::size_t>(slot_stack_size(n_slots)));
  for_each_group(n_slots, [&](Index first, Index end, Index top, Index n_merges) {
    auto sum = stack.begin() + top;
    *sum = Value{};
    for (Index slot = first; slot < end; ++slot) *sum += slots[static_cast<std::size_t>(slot)];
    for (; n_merges > 0; --n_merges, --sum) *(sum - 1) += *sum;
  });
  return stack.front();
}

}  // namespace trpo_fast
