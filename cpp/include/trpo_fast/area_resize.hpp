// Images made smaller: every pixel of the result is the mean over the area that it covers (OpenCV's INTER_AREA).
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "index.hpp"

namespace trpo_fast {

// An axis of n_in pixels that becomes one of n_out <= n_in pixels. Its length is cut into units such that a pixel of
// the image is n_out / g units long and one of the result n_in / g, with g their greatest common divisor.
class ResizedAxis {
 public:
  ResizedAxis(Index n_in, Index n_out) : n_in_(n_in), n_out_(n_out), total_(n_in / std::gcd(n_in, n_out)) {
    const Index length = n_out / std::gcd(n_in, n_out);
    n_taps_ = (std::min)(n_in, (total_ + length - 2) / length + 1);
    for (Index i = 0; i < n_out; ++i) {
      const Index begin = i * total_, end = begin + total_;
      first_.push_back((std::min)(begin / length, n_in - n_taps_));
      for (Index pixel = first_.back(); pixel < first_.back() + n_taps_; ++pixel) {
        const Index overlap = (std::min)(end, (pixel + 1) * length) - (std::max)(begin, pixel * length);
        weights_.push_back(static_cast<float>(std::max<Index>(overlap, 0)));
      }
    }
  }

  Index n_in() const { return n_in_; }
  Index n_out() const { return n_out_; }
  Index total() const { return total_; }                    // sum of the weights of a pixel of the result
  Index n_taps() const { return n_taps_; }                  // pixels that a pixel of the result is a sum of
  const Index* first() const { return first_.data(); }      // (n_out,): the first of them
  const float* weights() const { return weights_.data(); }  // (n_out, n_taps): their weights, integers

 private:
  Index n_in_;
  Index n_out_;
  Index total_;
  Index n_taps_;
  std::vector<Index> first_;
  std::vector<float> weights_;
};

// All sums are integers below 2^24, which floats hold exactly: the result is the same on every machine.
class AreaResize {
 public:
  static constexpr Index kMaxPixels = (Index(1) << 24) / 255;  // of an image

  AreaResize(Index in_height, Index in_width, Index out_height, Index out_width)
      : rows_(in_height, out_height), columns_(in_width, out_width) {}

  const ResizedAxis& rows() const { return rows_; }
  const ResizedAxis& columns() const { return columns_; }

  // out = the larger of first and second, made smaller
  void apply(const std::uint8_t* first,   // (rows().n_in(), columns().n_in())
             const std::uint8_t* second,  // the same; it may be first
             std::uint8_t* out            // (rows().n_out(), columns().n_out())
  ) const {
    const Index width = columns_.n_in();
    std::vector<std::uint8_t> larger(static_cast<std::size_t>(width));
    std::vector<float> sums(larger.size() + static_cast<std::size_t>(columns_.n_out()));
    const float* weight = rows_.weights();
    for (Index i = 0; i < rows_.n_out(); ++i, out += columns_.n_out()) {
      std::fill_n(sums.begin(), width, 0.0F);
      for (Index k = 0; k < rows_.n_taps(); ++k, ++weight) {
        const Index start = (rows_.first()[i] + k) * width;
        add_larger(first + start, second + start, *weight, width, larger.data(), sums.data());
      }
      sum_columns(sums.data(), sums.data() + width);
      round_means(sums.data() + width, out);
    }
  }

 private:
  static void add_larger(const std::uint8_t* first, const std::uint8_t* second, float weight, Index n,
                         std::uint8_t* larger, float* sums) {
    for (Index x = 0; x < n; ++x) larger[x] = (std::max)(first[x], second[x]);
    for (Index x = 0; x < n; ++x) sums[x] += weight * static_cast<float>(larger[x]);
  }

  void sum_columns(const float* sums, float* out) const {
    const Index n_taps = columns_.n_taps(), n_out = columns_.n_out();
    const Index* first = columns_.first();
    const float* weights = columns_.weights();
    for (Index x = 0; x < n_out; ++x, weights += n_taps) {
      const float* from = sums + first[x];
      float sum = 0.0F;
      for (Index k = 0; k < n_taps; ++k) sum += weights[k] * from[k];
      out[x] = sum;
    }
  }

  void round_means(const float* sums, std::uint8_t* out) const {
    constexpr float rounding = 12582912.0F;  // 1.5 2^23: a sum with it is rounded to an integer, a half to an even one
    const float total = static_cast<float>(rows_.total() * columns_.total());
    const Index n_out = columns_.n_out();
    for (Index x = 0; x < n_out; ++x) {
      out[x] = static_cast<std::uint8_t>(static_cast<int>((sums[x] / total + rounding) - rounding));
    }
  }

  ResizedAxis rows_;
  ResizedAxis columns_;
};

}  // namespace trpo_fast
