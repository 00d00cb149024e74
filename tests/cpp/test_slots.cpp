// Sums over slots: the order of their additions against a tree written as its definition, and the cut of a batch.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/fisher/empirical_fisher_operator.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/fisher/kfac.hpp"
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
      for (const int n_threads : {1, 2, 3, 7}) {
        SlotSum<Scalar> sum(size, RowBlocks(n_rows), n_threads == 3 ? kGroupSlots : n_threads);
        const Vector<double>& got = sum.run(n_threads, [&](Rows rows, int, Scalar* partial) {
          if (rows.begin % kSlotRows != 0) return;
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

TEST(slots_are_whole_blocks) {
  for (const Index n_rows : {1, 63, 64, 65, 1000, 1024, 1025, 5000, 16384, 16385, 100'000}) {
    for (const Index block_rows : {64, 24, 80, 1000, 5000}) {
      const RowBlocks blocks(n_rows, block_rows);
      Index next = 0;
      for (Index i = 0; i < blocks.num_slots(); ++i) {
        const Rows slot = blocks.slot(i);
        CHECK(slot.begin == next && slot.size() <= std::max(Index(1024), block_rows), "rows", n_rows, "slot", i);
        blocks.for_each_block(slot, [&](Rows block) {
          CHECK(block.begin == next && block.begin % block_rows == 0, "rows", n_rows, "begin", block.begin);
          CHECK(block.size() == std::min(block_rows, n_rows - block.begin), "rows", n_rows, "size", block.size());
          next = block.end;
        });
        CHECK(next == slot.end, "rows", n_rows, "slot", i);
      }
      CHECK(next == n_rows, "rows", n_rows, "block_rows", block_rows);
    }
    // By default 16 slots of equal size, or more of them: the smallest multiple of 64 that is enough, 1024 at most
    Index slot_rows = 64;
    while (16 * slot_rows < n_rows && slot_rows < 1024) slot_rows += 64;
    const RowBlocks blocks(n_rows);
    CHECK(blocks.block_rows() == 64 && blocks.num_slots() == (n_rows + slot_rows - 1) / slot_rows, "rows", n_rows);
    CHECK(blocks.slot(0).size() == std::min(slot_rows, n_rows), "rows", n_rows, "slot", blocks.slot(0).size());
  }
}

// What a batch is asked for, in one vector
template <class Scalar>
Vector<double> batch_results(const Problem<Scalar>& p, Index block_rows) {
  const Index size = p.theta.size();
  const SurrogateObjective<Scalar> objective(p.network, *p.distribution, p.theta_view(), p.inputs(block_rows),
                                             view(p.actions), p.advantages_view(), 0.25, 2);
  FisherOperator<Scalar> fisher(*p.distribution, p.linearization(2, block_rows), 0.1, 2);
  EmpiricalFisherOperator<Scalar> empirical(*p.distribution, p.linearization(2, block_rows), view(p.actions), 0.1, 2);
  KFACPreconditioner<Scalar> kfac(p.network, *p.distribution, p.theta_view(), p.inputs(block_rows), view(p.actions),
                                  0.1, 2);
  Vector<double> gradient(size), all(4 * size + 4);
  objective.gradient(gradient.data());
  all.head(size) = gradient;
  Index begin = size;
  for (LinearOperator* a : {static_cast<LinearOperator*>(&fisher), static_cast<LinearOperator*>(&empirical),
                            static_cast<LinearOperator*>(&kfac)}) {
    a->multiply(gradient.data(), all.data() + begin);
    begin += size;
  }
  const Vector<Scalar> theta_new = p.theta * Scalar(1.01);
  const ObjectiveValue value = objective.evaluate(theta_new.data());
  all.tail(4) << value.surrogate, value.mean_kl, value.max_kl, value.entropy;
  return all;
}

TEST_BOTH(blocks_of_any_size_give_the_same_sums_but_for_rounding) {
  // A block of 4000 rows is summed in Scalar. One row left out would change a sum by 1 / 3001 or so.
  const double tolerance = 1000.0 * double(std::numeric_limits<Scalar>::epsilon());
  for (const PolicySpec& policy : policy_specs()) {
    const Problem<Scalar> p(policy, 3001);
    const Vector<double> expected = batch_results(p, kBlockRows);
    for (const Index block_rows : {24, 80, 1000, 4000}) {
      const Vector<double> got = batch_results(p, block_rows);
      for (Index part = 0; part < 5; ++part) {
        const Index begin = part * p.theta.size(), size = part < 4 ? p.theta.size() : 4;
        const double error = (got - expected).segment(begin, size).norm() / expected.segment(begin, size).norm();
        CHECK(error <= tolerance, "policy", policy.name, "block_rows", block_rows, "part", part, "error", error);
      }
      CHECK(got[got.size() - 2] == expected[got.size() - 2], "policy", policy.name, "max_kl", got[got.size() - 2]);
    }
  }
}

TEST_BOTH(rows_have_the_same_bits_in_blocks_of_any_size) {
  const Problem<Scalar> p({"", {{5, 33, 6}, Activation::silu, true}, {{Kind::gaussian, 6}}}, 1001);
  const auto phi = [&](Index block_rows) {
    RowMatrix<Scalar> out(p.x.rows(), p.network.output_size());
    forward<Scalar>(p.network, p.theta.data(), p.inputs(block_rows), {out.data(), out.rows(), out.cols()}, 2);
    return out;
  };
  for (const Index block_rows : {24, 80, 2000}) CHECK(phi(block_rows) == phi(kBlockRows), "block_rows", block_rows);
}

}  // namespace
}  // namespace trpo_fast::tests
