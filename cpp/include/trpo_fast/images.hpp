// Images: rows of an input that are stacks of planes of bytes. Planes are stored once: rows that share one, as those of
// a frame stack do, refer to it by its number.
#pragma once

#include <algorithm>
#include <cstdint>

#include "index.hpp"

namespace trpo_fast {

constexpr std::int32_t kZeroPlane = -1;  // the number of a plane of zeros, which is not stored

// A view. Plane numbers are in -1..M-1.
struct Images {
  const std::uint8_t* planes;  // (M, height, width)
  Index height;
  Index width;
  const std::int32_t* index;  // (N, channels), the plane of each channel
  Index num_rows;             // N
  Index channels;

  Index plane_size() const { return height * width; }
};

// An image input of a network: rows are (height, width, channels) floats, the bytes times scale.
struct ImageInput {
  Index height;
  Index width;
  Index channels;
  double scale;

  Index size() const { return height * width * channels; }
};

constexpr Index kGatherPixels = 64;  // pixels gathered at a time

// to[p, c] = scale from[c][p] for n <= kGatherPixels pixels. The bytes are put side by side first: that moves a quarter
// of the memory, and what remains is vectorised for any number of channels.
template <int kChannels, class Scalar>
void interleave_planes(const std::uint8_t* const* from, Index n, Scalar scale, Scalar* to) {
  std::uint8_t bytes[kGatherPixels * kChannels];
  const std::uint8_t* planes[kChannels];
  std::copy_n(from, kChannels, planes);
  for (Index p = 0; p < n; ++p) {
    for (int c = 0; c < kChannels; ++c) bytes[p * kChannels + c] = planes[c][p];
  }
  for (Index i = 0; i < n * kChannels; ++i) to[i] = static_cast<Scalar>(bytes[i]) * scale;
}

// The pixels of one row, (height, width, channels), times scale. kChannels: 0 for any number
template <int kChannels, class Scalar>
void gather_row(const Images& images, Index row, Scalar scale, Scalar* to) {
  static constexpr std::uint8_t zeros[kGatherPixels] = {};
  const std::int32_t* index = images.index + row * images.channels;
  const Index size = images.plane_size();
  for (Index begin = 0; begin < size; begin += kGatherPixels, to += kGatherPixels * images.channels) {
    const Index n = (std::min)(kGatherPixels, size - begin);
    const auto plane = [&](Index c) {
      return index[c] == kZeroPlane ? zeros : images.planes + index[c] * size + begin;
    };
    if constexpr (kChannels > 0) {
      const std::uint8_t* from[kChannels];
      for (int c = 0; c < kChannels; ++c) from[c] = plane(c);
      interleave_planes<kChannels>(from, n, scale, to);
    } else {
      for (Index c = 0; c < images.channels; ++c) {
        const std::uint8_t* from = plane(c);
        for (Index p = 0; p < n; ++p) to[p * images.channels + c] = static_cast<Scalar>(from[p]) * scale;
      }
    }
  }
}

// The same for consecutive rows
template <class Scalar>
void gather_rows(const Images& images, Index first, Index count, Scalar scale,
                 Scalar* to,   // (count, height * width * channels)
                 Index stride  // from one row of it to the next
) {
  const auto gather = images.channels == 1   ? gather_row<1, Scalar>
                      : images.channels == 2 ? gather_row<2, Scalar>
                      : images.channels == 3 ? gather_row<3, Scalar>
                      : images.channels == 4 ? gather_row<4, Scalar>
                                             : gather_row<0, Scalar>;
  for (Index i = 0; i < count; ++i) gather(images, first + i, scale, to + i * stride);
}

}  // namespace trpo_fast
