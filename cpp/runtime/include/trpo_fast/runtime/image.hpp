// Images of an observation, as uint8 in the memory of a camera or a ring of frames, and as the network's inputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trpo_fast::runtime {

struct ImageSize {
  int channels, height, width;

  bool operator==(const ImageSize& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
};

// An image in memory that is somebody else's. planar(), interleaved() and frames() make one.
struct ImageView {
  ImageSize size;
  const std::uint8_t* const* planes;  // (channels): where each channel begins; if null, they begin at `pixels`
  const std::uint8_t* pixels;
  std::ptrdiff_t plane_step, row_step, pixel_step;  // bytes from a channel, row or pixel to the next

  const std::uint8_t* plane(int channel) const {
    return planes != nullptr ? planes[channel] : pixels == nullptr ? nullptr : pixels + channel * plane_step;
  }
};

// Pixels of shape (channels, height, width), contiguous: a frame in grey, a stack of frames.
inline ImageView planar(const std::uint8_t* pixels, int channels, int height, int width) {
  return {{channels, height, width}, nullptr, pixels, std::ptrdiff_t{height} * width, width, 1};
}

// Pixels of shape (height, width, channels), contiguous: a frame in colour, as cameras deliver it.
inline ImageView interleaved(const std::uint8_t* pixels, int channels, int height, int width) {
  return {{channels, height, width}, nullptr, pixels, 1, std::ptrdiff_t{width} * channels, channels};
}

// Pointers to frames of shape (height, width), the oldest first: a ring of frames, without a copy.
inline ImageView frames(const std::uint8_t* const* planes, int channels, int height, int width) {
  return {{channels, height, width}, planes, nullptr, 0, width, 1};
}

namespace detail {

// Whether `image` has that size, and all of its channels are somewhere.
inline bool is_image(const ImageView& image, const ImageSize& size) {
  if (!(image.size == size)) return false;
  for (int c = 0; c < size.channels; ++c) {
    if (image.plane(c) == nullptr) return false;
  }
  return true;
}

// inputs (height, width, channels) = scale * pixels
inline void to_inputs(const ImageView& image, float scale, float* inputs) {
  const ImageSize& size = image.size;
  for (int c = 0; c < size.channels; ++c) {
    const std::uint8_t* row = image.plane(c);
    float* to = inputs + c;
    for (int y = 0; y < size.height; ++y, row += image.row_step) {
      const std::uint8_t* pixel = row;
      for (int x = 0; x < size.width; ++x, pixel += image.pixel_step, to += size.channels) {
        *to = scale * static_cast<float>(*pixel);
      }
    }
  }
}

}  // namespace detail

}  // namespace trpo_fast::runtime
