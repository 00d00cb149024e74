// Convolutions of images by register blocks, without copies of patches: a row of a kernel meets contiguous elements of
// an image, so a window is a sum of one short product per kernel row.
//
// Images are (B, H, W, channels), each contiguous, at a stride of their own. Channels of outputs are lanes; the rows of
// a register block are outputs that see the same taps: neighbours in an image or, where too few of those do (at the
// edges, in small images), the same pixel of several images. Taps outside of the image are left out.
//
// Every element is one sum in a fixed order: it depends neither on the block nor on the other images.
#pragma once

#include <algorithm>
#include <type_traits>

#include "panels.hpp"
#include "register_block.hpp"

namespace trpo_fast {

// One axis of a convolution. Output i is a sum over the taps t for which start + i step + t is one of the inputs.
struct ConvolutionAxis {
  Index inputs;
  Index outputs;
  Index taps;
  Index start;
  Index step;

  Index position(Index i) const { return start + i * step; }
  Index tap_begin(Index i) const { return std::max<Index>(0, -position(i)); }
  Index tap_end(Index i) const { return (std::min)(taps, inputs - position(i)); }

  // Outputs that see tap t are begin(t) ... end(t) - 1.
  Index begin(Index t) const { return std::clamp<Index>(ceil_divide(-start - t, step), 0, outputs); }
  Index end(Index t) const { return std::clamp<Index>(ceil_divide(inputs - start - t, step), begin(t), outputs); }
  // Those that see all taps
  Index full_begin() const { return begin(0); }
  Index full_end() const { return (std::max)(full_begin(), taps > 0 ? end(taps - 1) : outputs); }
  bool sees_all_taps(Index i) const { return i >= full_begin() && i < full_end(); }

 private:
  static Index ceil_divide(Index a, Index b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }  // b > 0
};

// A term of a convolution: images and the kernel that they meet.
template <class Scalar>
struct ConvolutionTerm {
  const Scalar* x;       // (B, inputs of the rows, inputs of the columns, channels); null: there is no term
  Index image;           // from an image to the next
  const Scalar* kernel;  // panels
  Index kernel_rows;     // rows of a panel
  Index first_row;       // the first of them: for each row, column and channel of the kernel, one

  const Scalar* panel(Index column, Index width) const { return kernel + column * kernel_rows + first_row * width; }
};

// Where outputs are stored: pixels of images, at strides.
template <class Scalar>
struct ConvolutionOutput {
  Scalar* y;
  Index image;
  Index row;
  Index pixel;
  Index channels;
};

namespace detail {

// Rows of a register block of a convolution: a single packet needs more of them to keep the multiply-add units busy.
template <class Shape>
constexpr int kConvolutionRows =
    Shape::kPackets == 1 && kLanes<typename Shape::Packet> == kLanes<FullPacket<Element<typename Shape::Packet>>>
        ? 12
        : Shape::kRows;
// So many accumulators hide the latency of a multiply-add.
constexpr Index kBusyAccumulators = 8;
constexpr Index kImageGroup = 12;  // images of which a pixel makes one or two register blocks

// f(the number n as a constant), 1 <= n <= Most
template <int Most, class Function>
EIGEN_ALWAYS_INLINE void with_constant(Index n, Function&& f) {
  if constexpr (Most > 1) {
    if (n < Most) return with_constant<Most - 1>(n, f);
  }
  f(std::integral_constant<int, Most>{});
}

// f(first row, number of rows as a constant) for blocks of at most Most rows that cover [0, n), as equal as can be
template <int Most, class Function>
void for_each_equal_block(Index n, Function&& f) {
  const Index blocks = (n + Most - 1) / Most;
  for (Index i = 0, begin = 0; i < blocks; ++i) {
    const Index end = (i + 1) * n / blocks;
    with_constant<Most>(end - begin, [&](auto rows) { f(begin, rows); });
    begin = end;
  }
}

// Stores a register block's first `width` columns: a packet may be wider, and its other lanes another pixel's.
template <class Shape, class Block, class Scalar>
EIGEN_ALWAYS_INLINE void store_columns(const Block& block, int rows, Index width, Scalar* y, Index y_row) {
  if (width == Shape::kWidth) return block.store(y, y_row);
  Scalar all[kConvolutionRows<Shape> * Shape::kWidth];
  block.store(all, Shape::kWidth);
  for (int i = 0; i < rows; ++i) std::copy_n(all + i * Shape::kWidth, width, y + i * y_row);
}

// Outputs that see the same taps, at constant strides
template <class Scalar>
struct Windows {
  struct Term {
    const Scalar* a;  // the first output's window; null: there is no term
    Index a_row;      // from an output's window to the next one's
    const Scalar* b;  // the kernel's row for its first tap
  };
  Index count;
  const Scalar* bias;
  Term first;
  Term second;
  Index kernel_rows;
  Index a_step;  // from a kernel row to the next, in the image
  Index b_step;
  Index depth;  // taps of a kernel row, times channels
  Scalar* y;
  Index y_row;
  Index width;  // columns that are stored
};

template <class Shape, int Rows, class Scalar>
void sum_block(const Windows<Scalar>& w, Index begin) {
  RegisterBlock<typename Shape::Packet, Rows, Shape::kPackets> block;
  block.set_rows(w.bias);
  for (const auto* term : {&w.first, &w.second}) {
    if (term->a == nullptr) continue;
    const Scalar* a = term->a + begin * term->a_row;
    const Scalar* b = term->b;
    for (Index k = 0; k < w.kernel_rows; ++k, a += w.a_step, b += w.b_step) {
      block.accumulate(a, term->a_row, 1, b, Shape::kWidth, w.depth);
    }
  }
  store_columns<Shape>(block, Rows, w.width, w.y + begin * w.y_row, w.y_row);
}

}  // namespace detail

// y = bias + K1 x1 + K2 x2, sums over (row, column, channel) of the kernel in ascending order. The bias is the first
// row of the first kernel's panels, or 0.
template <class Scalar>
void convolve(Index images, const ConvolutionAxis& rows, const ConvolutionAxis& columns,
              Index channels,  // of x
              bool has_bias, const ConvolutionTerm<Scalar>& first, const ConvolutionTerm<Scalar>& second,
              const ConvolutionOutput<Scalar>& out) {
  const Index x_row = columns.inputs * channels;
  const auto convolve_panel = [&](auto shape, Index column, Index first_image, Index count) {
    using Shape = decltype(shape);
    constexpr int kMost = detail::kConvolutionRows<Shape>;
    const Scalar* bias = has_bias ? first.kernel + column * first.kernel_rows : nullptr;
    // pixels (i, j), (i, j + 1), ... of an image, or pixel (i, j) of consecutive images
    const auto sum = [&](Index n, bool is_one_image, Index image, Index i, Index j) {
      const Index t = rows.tap_begin(i), u = columns.tap_begin(j);
      const auto term = [&](const ConvolutionTerm<Scalar>& from) -> typename detail::Windows<Scalar>::Term {
        if (from.x == nullptr) return {nullptr, 0, nullptr};
        return {from.x + image * from.image + (rows.position(i) + t) * x_row + (columns.position(j) + u) * channels,
                is_one_image ? columns.step * channels : from.image,
                from.panel(column, Shape::kWidth) + (t * columns.taps + u) * channels * Shape::kWidth};
      };
      const detail::Windows<Scalar> windows{n,
                                            bias,
                                            term(first),
                                            term(second),
                                            rows.tap_end(i) - t,
                                            x_row,
                                            columns.taps * channels * Shape::kWidth,
                                            (columns.tap_end(j) - u) * channels,
                                            out.y + image * out.image + i * out.row + j * out.pixel + column,
                                            is_one_image ? out.pixel : out.image,
                                            std::min<Index>(Shape::kWidth, out.channels - column)};
      detail::for_each_equal_block<kMost>(n, [&](Index begin, auto block_rows) {
        detail::sum_block<Shape, decltype(block_rows)::value>(windows, begin);
      });
    };
    const Index full_begin = columns.full_begin(), full = columns.full_end() - full_begin;
    const Index block = full / std::max<Index>(1, (full + kMost - 1) / kMost);  // rows of the smallest
    const bool by_image = count == 1 || block * Shape::kPackets >= detail::kBusyAccumulators;
    if (by_image && full > 0) {
      for (Index image = first_image; image < first_image + count; ++image) {
        for (Index i = 0; i < rows.outputs; ++i) sum(full, true, image, i, full_begin);
      }
    }
    for (Index i = 0; i < rows.outputs; ++i) {
      for (Index j = 0; j < columns.outputs; ++j) {
        if (!by_image || !columns.sees_all_taps(j)) sum(count, false, first_image, i, j);
      }
    }
  };
  for (Index image = 0; image < images; image += detail::kImageGroup) {
    const Index count = (std::min)(detail::kImageGroup, images - image);
    for_each_panel<Scalar>(out.channels,
                           [&](auto shape, Index column) { convolve_panel(shape, column, image, count); });
  }
}

// kernel += the sum over images and outputs of window^T y_bar: K_bar of y = K x, and of the bias, which is the first
// row of its panels. An element's sum is over images; in each over the pixels that see all columns of the kernel, row
// by row, then over the other columns of pixels from left to right.
template <class Scalar>
void add_kernel_gradient(
    Index images, const ConvolutionAxis& rows, const ConvolutionAxis& columns,
    const Scalar* x,  // (B, rows.inputs, columns.inputs, channels)
    Index x_image, Index channels,
    const Scalar* y_bar,  // (B, rows.outputs, columns.outputs, n); a packet may be read past its end
    Index y_image, Index n,
    Scalar* kernel  // panels of (1 + taps, taps, channels; n)
) {
  const Index x_row = columns.inputs * channels, y_row = columns.outputs * n, row_size = columns.taps * channels;
  const Index kernel_rows = 1 + rows.taps * row_size;
  const Index full_begin = columns.full_begin(), full = columns.full_end() - full_begin;
  const auto add_image = [&](auto shape, Index column, Index image) {
    using Shape = decltype(shape);
    constexpr int kMost = detail::kConvolutionRows<Shape>;
    const Index width = std::min<Index>(Shape::kWidth, n - column);
    Scalar* panel = kernel + column * kernel_rows;
    const Scalar* x_at = x + image * x_image;
    const Scalar* y_at = y_bar + image * y_image + column;
    // rows [begin, end) of the kernel's row t += sums over `outer` runs of `depth` pixels
    const auto add = [&](Index t, Index begin, Index end, const Scalar* a, Index a_outer, Index a_step, const Scalar* b,
                         Index b_outer, Index b_step, Index outer, Index depth) {
      Scalar* c = panel + (1 + t * row_size + begin) * Shape::kWidth;
      detail::for_each_equal_block<kMost>(end - begin, [&](Index k, auto block_rows) {
        RegisterBlock<typename Shape::Packet, decltype(block_rows)::value, Shape::kPackets> block;
        block.load(c + k * Shape::kWidth, Shape::kWidth);
        for (Index i = 0; i < outer; ++i) {
          block.accumulate(a + i * a_outer + k, 1, a_step, b + i * b_outer, b_step, depth);
        }
        detail::store_columns<Shape>(block, decltype(block_rows)::value, width, c + k * Shape::kWidth, Shape::kWidth);
      });
    };
    for (Index t = 0; t < rows.taps; ++t) {
      const Index first = rows.begin(t), n_rows = rows.end(t) - first;
      const auto a = [&](Index j, Index u) {
        return x_at + (rows.position(first) + t) * x_row + (columns.position(j) + u) * channels;
      };
      const auto b = [&](Index j) { return y_at + first * y_row + j * n; };
      if (n_rows == 0) continue;
      if (full > 0) {
        add(t, 0, row_size, a(full_begin, 0), rows.step * x_row, columns.step * channels, b(full_begin), y_row, n,
            n_rows, full);
      }
      for (Index j = 0; j < columns.outputs; ++j) {
        if (columns.sees_all_taps(j)) continue;
        const Index u = columns.tap_begin(j), end = (std::max)(u, columns.tap_end(j));
        add(t, u * channels, end * channels, a(j, u), 0, rows.step * x_row, b(j), 0, y_row, 1, n_rows);
      }
    }
    const Scalar one(1);
    RegisterBlock<typename Shape::Packet, 1, Shape::kPackets, 4> bias;
    bias.set_rows(panel);
    bias.accumulate(&one, 0, 0, y_at, n, rows.outputs * columns.outputs);
    detail::store_columns<Shape>(bias, 1, width, panel, Shape::kWidth);
  };
  for (Index image = 0; image < images; ++image) {
    for_each_panel<Scalar>(n, [&](auto shape, Index column) { add_image(shape, column, image); });
  }
}

}  // namespace trpo_fast
