// Images: rows of an input made of planes of bytes. Planes are stored once, and rows that share one (the frames of a
// stack, as they move on) name it by its number.
#pragma once

#include <cstdint>

#include "index.hpp"

namespace trpo_fast {

constexpr std::int32_t kZeroPlane = -1;  // the number of a plane of zeros, which is not stored

// A view. Numbers are in -1..M-1.
struct Images {
  const std::uint8_t* planes;  // (M, height, width)
  Index height;
  Index width;
  const std::int32_t* index;  // (N, channels), the plane of each channel
  Index num_rows;             // N
  Index channels;

  Index plane_size() const { return height * width; }
};

}  // namespace trpo_fast
