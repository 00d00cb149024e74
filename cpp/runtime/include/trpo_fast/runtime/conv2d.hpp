// Conv2d: y = b + W * x for one image x, whose pixels are channels side by side.
//
// Parameters are kept in panels of 16 filters: the weights of each input under the kernel, row by row, and last the
// biases; zeros for filters that fill a panel up. A row of the kernel reads neighbouring floats of x, so that a step is
// that of Dense: broadcasts, for several output pixels, times whole registers that lie side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "../common/unroll.hpp"
#include "dense.hpp"
#include "lanes.hpp"

namespace trpo_fast::runtime {

struct ConvSizes {
  int height, width, channels;  // of x, with its border
  int filters, kernel_height, kernel_width, stride;

  constexpr int out_height() const { return (height - kernel_height) / stride + 1; }
  constexpr int out_width() const { return (width - kernel_width) / stride + 1; }
  constexpr std::ptrdiff_t depth() const { return std::ptrdiff_t{kernel_height} * kernel_width * channels; }
};

// Of a layer, in panels.
constexpr std::ptrdiff_t num_parameters(const ConvSizes& sizes) { return (sizes.depth() + 1) * padded(sizes.filters); }

constexpr int kConvRegisters = kPadding / kLanes;                               // of a panel
constexpr int kConvPixels = (std::min)(8, (std::max)(1, 12 / kConvRegisters));  // of the output, at a time

using ConvSums = Lanes[kConvPixels][kConvRegisters];

// sums = b + W * x of a panel, for output pixels whose kernels begin at x[0], x[1], ...
inline void convolve_block(const float* panel,  // (depth + 1, 16)
                           const ConvSizes& sizes, const float* const (&x)[kConvPixels], ConvSums& sums) {
  const auto row = [&](const float* from, int r) { return load(from + r * kLanes); };
  Lanes local[kConvPixels][kConvRegisters];
  TRPO_FAST_UNROLL
  for (int p = 0; p < kConvPixels; ++p) {
    TRPO_FAST_UNROLL
    for (int r = 0; r < kConvRegisters; ++r) local[p][r] = row(panel + sizes.depth() * kPadding, r);
  }
  const std::ptrdiff_t run = std::ptrdiff_t{sizes.kernel_width} * sizes.channels;
  const float* weights = panel;
  for (int ky = 0; ky < sizes.kernel_height; ++ky) {
    const std::ptrdiff_t begin = std::ptrdiff_t{ky} * sizes.width * sizes.channels;
    for (std::ptrdiff_t k = begin; k < begin + run; ++k, weights += kPadding) {
      TRPO_FAST_UNROLL
      for (int p = 0; p < kConvPixels; ++p) {
        TRPO_FAST_UNROLL
        for (int r = 0; r < kConvRegisters; ++r) local[p][r] += x[p][k] * row(weights, r);
      }
    }
  }
  std::memcpy(sums, local, sizeof local);
}

// The output's channels `begin`, ... of one pixel: as many as there are of a panel.
inline void store_pixel(const Lanes (&sums)[kConvRegisters], int begin, int filters, float* pixel) {
  for (int r = 0; r < kConvRegisters; ++r, begin += kLanes) {
    if (filters - begin >= kLanes) {
      store(sums[r], pixel + begin);
    } else if (filters > begin) {
      std::memcpy(pixel + begin, &sums[r], static_cast<std::size_t>(filters - begin) * sizeof(float));
    }
  }
}

// y = b + W * x. The last block of pixels has the last one several times.
inline void convolve(const float* parameters,  // (num_parameters(sizes))
                     const float* x,           // (height, width, channels)
                     const ConvSizes& sizes,
                     float* y  // (out_height, out_width, filters)
) {
  const int width = sizes.out_width(), num_pixels = sizes.out_height() * width;
  const std::ptrdiff_t step = std::ptrdiff_t{sizes.stride} * sizes.channels, row = step * sizes.width;
  for (int begin = 0; begin < sizes.filters; begin += kPadding, parameters += (sizes.depth() + 1) * kPadding) {
    for (int first = 0; first < num_pixels; first += kConvPixels) {
      const float* from[kConvPixels];
      int pixels[kConvPixels];
      for (int p = 0; p < kConvPixels; ++p) {
        pixels[p] = (std::min)(first + p, num_pixels - 1);
        from[p] = x + pixels[p] / width * row + pixels[p] % width * step;
      }
      ConvSums sums;
      convolve_block(parameters, sizes, from, sums);
      for (int p = 0; p < kConvPixels; ++p) {
        store_pixel(sums[p], begin, sizes.filters, y + std::ptrdiff_t{pixels[p]} * sizes.filters);
      }
    }
  }
}

// weight (filters, channels, kernel_height, kernel_width), row-major, and bias (filters) into panels; padding is left
// alone: 0
template <class Numbers>
void pack(const Numbers& weight, const Numbers& bias, const ConvSizes& sizes, float* parameters) {
  const std::ptrdiff_t area = std::ptrdiff_t{sizes.kernel_height} * sizes.kernel_width;
  for (int o = 0; o < sizes.filters; ++o) {
    float* column = parameters + std::ptrdiff_t{o / kPadding} * (sizes.depth() + 1) * kPadding + o % kPadding;
    for (std::ptrdiff_t k = 0; k < sizes.depth(); ++k) {
      const std::ptrdiff_t channel = k % sizes.channels, place = k / sizes.channels;
      column[k * kPadding] = weight[static_cast<std::size_t>(o * sizes.depth() + channel * area + place)];
    }
    column[sizes.depth() * kPadding] = bias[static_cast<std::size_t>(o)];
  }
}

}  // namespace trpo_fast::runtime
