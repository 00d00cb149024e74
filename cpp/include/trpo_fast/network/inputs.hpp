// Inputs: the rows that a network reads and their cut into blocks. The batch decides on both.
#pragma once

#include "../blocks.hpp"

namespace trpo_fast {

template <class Scalar>
struct Inputs {
  ConstMatrixView<Scalar> x;  // (N, input_size)
  RowBlocks blocks;

  // Independent rows, for a feed-forward network
  Inputs(ConstMatrixView<Scalar> rows) : Inputs(rows, kBlockRows) {}
  Inputs(ConstMatrixView<Scalar> rows, Index block_rows) : x(rows), blocks(rows.rows(), block_rows) {}
};

}  // namespace trpo_fast
