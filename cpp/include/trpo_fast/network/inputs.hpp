// Inputs: the rows that a network reads and their cut into blocks. The batch decides on both.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "../blocks.hpp"
#include "../images.hpp"

namespace trpo_fast {

// Activations of a whole batch are stored up to this number of bytes; beyond it, each product computes them again.
constexpr std::size_t kActivationBudget = std::size_t(1) << 30;

// The inputs of consecutive rows
template <class Scalar>
struct InputBlock {
  ConstPanel<Scalar> x;            // (B, input_size)
  const Images* images = nullptr;  // one for each image of the network
  Index first_row = 0;             // of the block, in the images
};

template <class Scalar>
struct Inputs {
  ConstMatrixView<Scalar> x;  // (N, input_size), read only while the call that takes it runs
  RowBlocks blocks;
  std::vector<Images> images;         // of N rows each, one for each image of the network
  std::shared_ptr<const void> owner;  // of what the images are views of; null where the caller keeps it alive
  std::size_t activation_budget = kActivationBudget;

  // Independent rows, for a feed-forward network
  Inputs(ConstMatrixView<Scalar> rows) : Inputs(rows, kBlockRows) {}
  Inputs(ConstMatrixView<Scalar> rows, Index block_rows) : x(rows), blocks(rows.rows(), block_rows) {}
  Inputs(ConstMatrixView<Scalar> rows, std::vector<Images> images_of_rows, std::shared_ptr<const void> owner_of_images)
      : x(rows), blocks(rows.rows()), images(std::move(images_of_rows)), owner(std::move(owner_of_images)) {}

  InputBlock<Scalar> block(Rows rows) const { return {panel(trpo_fast::block(x, rows)), images.data(), rows.begin}; }
};

}  // namespace trpo_fast
