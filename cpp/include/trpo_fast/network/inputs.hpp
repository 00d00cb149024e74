// Inputs: the rows that a network reads and their cut into blocks. The batch decides on both.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "../blocks.hpp"
#include "../images.hpp"
#include "../sequences.hpp"

namespace trpo_fast {

// Activations of a whole batch are stored up to this number of bytes; beyond it, each product computes them again.
constexpr std::size_t kActivationBudget = std::size_t(1) << 30;

// The inputs of consecutive rows
template <class Scalar>
struct InputBlock {
  ConstPanel<Scalar> x;            // (B, input_size)
  const Images* images = nullptr;  // one for each image of the network
  Index first_row = 0;             // of the block, in the images
  SequenceBlock<Scalar> sequence{};
};

template <class Scalar>
struct Inputs {
  ConstMatrixView<Scalar> x;  // (N, input_size), read only while the call that takes it runs
  RowBlocks blocks;
  std::vector<Images> images;         // of N rows each, one for each image of the network
  std::shared_ptr<const void> owner;  // of what images and sequences view; null where the caller keeps it alive
  Sequences<Scalar> sequences{};      // for a network with a state
  std::size_t activation_budget = kActivationBudget;

  // Independent rows, for a feed-forward network
  Inputs(ConstMatrixView<Scalar> rows) : Inputs(rows, kBlockRows) {}
  Inputs(ConstMatrixView<Scalar> rows, Index block_rows) : x(rows), blocks(rows.rows(), block_rows) {}
  Inputs(ConstMatrixView<Scalar> rows, std::vector<Images> images_of_rows, std::shared_ptr<const void> owner_of_views)
      : Inputs(rows, Sequences<Scalar>{}, std::move(images_of_rows), std::move(owner_of_views)) {}
  Inputs(ConstMatrixView<Scalar> rows, const Sequences<Scalar>& sequences_of_rows,
         std::vector<Images> images_of_rows = {}, std::shared_ptr<const void> owner_of_views = nullptr)
      : x(rows),
        blocks(rows.rows(), sequences_of_rows.lanes > 0 ? sequences_of_rows.block_rows() : kBlockRows),
        images(std::move(images_of_rows)),
        owner(std::move(owner_of_views)),
        sequences(sequences_of_rows) {}

  InputBlock<Scalar> block(Rows rows) const {
    return {panel(trpo_fast::block(x, rows)), images.data(), rows.begin, sequences.block(rows.begin, rows.size())};
  }
};

}  // namespace trpo_fast
