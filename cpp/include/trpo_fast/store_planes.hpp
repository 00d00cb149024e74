// store_planes: stores the planes of a step of n environments (images.hpp), each plane once.
//
// A frame stack moves by one frame per step, so most planes of an observation are in the former one. Planes are
// compared by their bytes: whoever stacks the frames, and whatever a reset pads them with, needs to say nothing.
#pragma once

#include <algorithm>
#include <cstring>

#include "images.hpp"

namespace trpo_fast {

// The observations of n environments, channels first.
struct PlaneStacks {
  const std::uint8_t* pixels;
  Index stride;  // bytes from one environment to the next
  Index num_envs;
  Index channels;
  Index plane_size;
};

// Writes the number of each plane to `index` and appends new planes to `planes`, which has room for all of them.
// Returns the number of planes that are then in use. A row of `previous` is the index of the environment's former
// observation; if there is none, all zero planes.
inline Index store_planes(const PlaneStacks& stacks,
                          const std::int32_t* previous,  // (n, channels)
                          std::int32_t* index,           // (n, channels)
                          std::uint8_t* planes,          // (M, plane_size)
                          Index used) {
  const auto size = static_cast<std::size_t>(stacks.plane_size);
  for (Index env = 0; env < stacks.num_envs; ++env) {
    const std::uint8_t* plane = stacks.pixels + env * stacks.stride;
    const std::int32_t* before = previous + env * stacks.channels;
    std::int32_t* row = index + env * stacks.channels;
    for (Index c = 0; c < stacks.channels; ++c, plane += stacks.plane_size) {
      const auto is_same = [&](std::int32_t stored) {
        return stored != kZeroPlane && std::memcmp(plane, planes + stored * stacks.plane_size, size) == 0;
      };
      const auto is_found = [&](const std::int32_t* first, const std::int32_t* last) {
        const std::int32_t* found = std::find_if(first, last, is_same);
        if (found != last) row[c] = *found;
        return found != last;
      };
      if (plane[0] == 0 && std::memcmp(plane, plane + 1, size - 1) == 0) {
        row[c] = kZeroPlane;
        continue;
      }
      // In the former observation, first where the plane was if the stack moved by one; then in this one
      if (is_found(before + c + 1, before + stacks.channels) || is_found(before, before + c + 1) ||
          is_found(row, row + c)) {
        continue;
      }
      std::memcpy(planes + used * stacks.plane_size, plane, size);
      row[c] = static_cast<std::int32_t>(used++);
    }
  }
  return used;
}

}  // namespace trpo_fast
