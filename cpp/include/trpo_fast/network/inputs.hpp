// Inputs: what a network reads, row after row, and how the rows are cut. The batch decides on both.
#pragma once

#include "../blocks.hpp"

namespace trpo_fast {

template <class Scalar>
struct Inputs {
  ConstMatrixView<Scalar> x;  // (N, input_size)
  RowBlocks blocks;

  // Independent rows, as of a feed-forward network
  Inputs(ConstMatrixView<Scalar> rows) : Inputs(rows, kBlockRows) {}
  Inputs(ConstMatrixView<Scalar> rows, Index block_rows) : x(rows), blocks(rows.rows(), block_rows) {}
};

}  // namespace trpo_fast
