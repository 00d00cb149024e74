// Sums over slots: the order of their additions against a tree written as its definition, and the cut of a batch.
#include <cmath>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/objectives/surrogate.hpp"
#include "trpo_fast/parallel/slot_sum.hpp"

namespace trpo_fast::tests {
namespace {

constexpr Index kSlotRows = 1024;  // of a large batch
constexpr Index kGroupRows = 16 * kSlotRows;
constexpr Index kGroupCounts[] = {1, 2, 3, 4, 5, 7, 8, 33, 38};

// node (level, i) of a binary tree over leaves; where there is no right child, the left one
double tree_node(const std::vector<double>& leaves, std::size_t level, std::size_t i) {
  if (level == 0) return leaves[i];
  const double left = tree_node(leaves, level - 1, 2 * i);
  const bool has_right = ((2 * i + 1) << (level - 1)) < leaves.size();
  return has_right ? left + tree_node(leaves, level - 1, 2 * i + 1) : left;
}

// Slots in groups of 16, added from left to right; groups in a binary tree
template <class Value>
double tree_sum(const std::vector<Value>& slots) {
  std::vector<double> groups;
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    if (slot % 16 == 0) groups.push_back(0.0);
    groups.back() += double(slots[slot]);
  }
  std::size_t levels = 0;
  while ((std::size_t(1) << levels) < groups.size()) ++levels;
  return tree_node(groups, levels, 0);
}

// Of such different sizes that every other order of adding them gives other bits
double value(Index slot, Index i) {
  const double mixed = std::sin(double(12 + 7 * slot + 3 * i * i));
  return std::ldexp(mixed, static_cast<int>((5 * slot + i) % 23));
}

TEST_BOTH(slots_are_added_in_the_fixed_tree) {
  constexpr Index size = 1100;  // more than a thread takes at a time
  for (const Index n_groups : kGroupCounts) {
    for (const Index short_of : {Index(0), Index(3 * kSlotRows + 5)}) {
      const Index n_rows = n_groups * kGroupRows - short_of;
      std::vector<std::vector<Scalar>> slots(size);  // of each element
      for (Index begin = 0; begin < n_rows; begin += kSlotRows) {
        for (Index i = 0; i < size; ++i) slots[std::size_t(i)].push_back(static_cast<Scalar>(value(begin, i)));
      }
      SlotSum<Scalar> sum(size, n_rows);
      for (const int n_threads : {1, 2, 3, 7}) {
        const Vector<double>& got = sum.run(n_threads, [&](Rows rows, int, Scalar* partial) {
          for (Index i = 0; i < size; ++i) partial[i] += static_cast<Scalar>(value(rows.begin, i));
        });
        for (Index i = 0; i < size; ++i) {
          CHECK(same_bits(got[i], tree_sum(slots[std::size_t(i)])), "groups", n_groups, "threads", n_threads, "i", i);
        }
      }
    }
  }
}

// At theta itself every ratio is 1 and l_n the advantage: the objective shows the order in which it adds.
TEST_BOTH(objectives_are_added_in_the_fixed_tree) {
  const PolicySpec small{"", {{1, 1}, Activation::identity, true}, {{Kind::gaussian, 1}}};
  for (const Index n_groups : {Index(3), Index(34)}) {
    Problem<Scalar> p(small, n_groups * kGroupRows - 77);
    std::vector<double> slots;
    for (Index n = 0; n < p.x.rows(); ++n) {
      if (n % kSlotRows == 0) slots.push_back(0.0);
      slots.back() += p.advantages[n] = value(n, 0);
    }
    const SurrogateObjective<Scalar> objective(p.network, *p.distribution, p.theta_view(), view(p.x), view(p.actions),
                                               p.advantages_view(), 0.0, 2);
    const double got = objective.evaluate(p.theta.data()).surrogate;
    CHECK(same_bits(got, tree_sum(slots) / double(p.x.rows())), "groups", n_groups, "got", got);
  }
}

TEST(the_stack_of_nodes_is_logarithmic) {
  for (Index n_slots = 1; n_slots <= 16 * 70; ++n_slots) {
    const Index n_groups = (n_slots + 15) / 16, most = slot_stack_size(n_slots);
    CHECK(most == 1 + static_cast<Index>(std::floor(std::log2(double(n_groups)))), "slots", n_slots, "most", most);
    Index next_slot = 0, size = 0;
    for_each_group(n_slots, [&](Index first, Index end, Index top, Index n_merges) {
      CHECK(first == next_slot && end <= first + 16 && end <= n_slots, "slots", n_slots, "first", first);
      CHECK(top == size && top < most && n_merges <= top, "slots", n_slots, "top", top);
      next_slot = end;
      size += 1 - n_merges;
    });
    CHECK(next_slot == n_slots && size == 1, "slots", n_slots, "size", size);
  }
}

}  // namespace
}  // namespace trpo_fast::tests
