// Sequences: which rows of a batch follow each other in time, for recurrent layers. Feed-forward layers ignore them.
//
// A lane is `length` consecutive steps of one environment. A block (blocks.hpp) holds whole lanes, time-major: with B
// lanes in a block, row t B + b of it is step t of lane b. Each step is therefore a panel of B rows, and whatever is
// not sequential is one product over all rows of the block. Lanes are numbered block after block; only the last block
// may have fewer of them.
//
// Rows may be padding, of which a network computes outputs that count nowhere: those after the end of a shorter lane,
// and those that an environment's reset took. Objectives and operators leave them out of every sum and count only the
// others.
//
// Derivatives are those of the function of one lane from its given first state: that state is data, so a cut between
// two lanes stops the gradient, and so does the start of an episode.
#pragma once

#include <cstdint>

#include "index.hpp"

namespace trpo_fast {

// The sequences of one block. For a layer, states are the columns of its own state.
template <class Scalar>
struct SequenceBlock {
  Index lanes = 0;                       // 0: independent rows
  Index state_stride = 0;                // from a lane's state to the next one's
  const std::uint8_t* starts = nullptr;  // (B rows,), not 0 where a row begins an episode; null: nowhere
  const Scalar* states = nullptr;        // (lanes, state_size), before each lane's first step
  Scalar* last_states = nullptr;         // (lanes, state_size), after its last step: forward() writes them; or null

  // The states of a layer of which the first is that number
  SequenceBlock of_state(Index first) const {
    return {lanes, state_stride, starts, states == nullptr ? nullptr : states + first,
            last_states == nullptr ? nullptr : last_states + first};
  }
};

template <class Scalar>
struct Sequences {
  Index lanes = 0;                        // of a block; 0: independent rows
  Index length = 0;                       // steps of every lane
  const std::uint8_t* starts = nullptr;   // (N,), as in a block
  const Scalar* states = nullptr;         // (N / length, state_size)
  Index state_size = 0;                   // of the network
  const std::uint8_t* padding = nullptr;  // (N,), not 0 where a row is padding; null: none is
  Index num_padding = 0;

  Index block_rows() const { return lanes * length; }
  bool is_padding(Index row) const { return padding != nullptr && padding[row] != 0; }
  SequenceBlock<Scalar> block(Index first_row, Index num_rows) const {
    if (lanes == 0) return {};
    return {num_rows / length, state_size, starts + first_row, states + first_row / length * state_size, nullptr};
  }
};

}  // namespace trpo_fast
