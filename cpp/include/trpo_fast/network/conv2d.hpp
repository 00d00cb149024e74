// Conv2d: y = phi(z), z[i, j, o] = b[o] + sum over (r, q, c) of W[o, c, r, q] x[i s + r - p, j s + q - p, c], with
// stride s and padding p: x is 0 outside of the image. Rows of x and y are whole images, (H, W, C) and (OH, OW, O),
// contiguous. theta_l is W (O, C, kh, kw) row-major, then b (O).
//
// z is linear in W and in x, so
//
//   jvp   dz = K(dW) x + db + K(W) dx,   dy = phi'(z) dz
//   vjp   z_bar = phi'(z) y_bar,   b_bar[o] = sum of z_bar[., ., o]
//         W_bar[o, c, r, q] = sum over (i, j) of z_bar[i, j, o] x[i s + r - p, j s + q - p, c]
//         x_bar[u, v, c] = sum over (i, j, o) of z_bar[i, j, o] W[o, c, u + p - i s, v + p - j s]
//
// In x_bar, pixels with the same (u + p) mod s and (v + p) mod s meet the same part of W, of at most ceil(kh / s) by
// ceil(kw / s) taps: each of these s s phases is a convolution of z_bar with stride 1.
//
// Packed: the panels of [b; W^T], (1 + kh kw C, O), with rows in the order (r, q, c). Reverse: the panels of the
// phases' kernels, (kh kw O, C), phase after phase, each with rows in the order of (i, j, o).
#pragma once

#include <algorithm>
#include <vector>

#include "../kernels/convolution.hpp"
#include "../kernels/transpose.hpp"
#include "../padded_matrix.hpp"
#include "activation_passes.hpp"
#include "layer.hpp"

namespace trpo_fast {

// Sizes of a convolution: along the rows, then along the columns.
struct Conv2dShape {
  Index height;
  Index width;
  Index channels;  // C
  Index filters;   // O
  Index kernel_height;
  Index kernel_width;
  Index stride;
  Index padding;

  ConvolutionAxis rows() const { return axis(height, kernel_height); }
  ConvolutionAxis columns() const { return axis(width, kernel_width); }
  Index input_size() const { return height * width * channels; }
  Index locations() const { return rows().outputs * columns().outputs; }  // OH OW
  Index patch_size() const { return kernel_height * kernel_width * channels; }

 private:
  ConvolutionAxis axis(Index size, Index kernel) const {
    return {size, (size + 2 * padding - kernel) / stride + 1, kernel, -padding, stride};
  }
};

template <class Scalar>
class Conv2d final : public Layer<Scalar> {
 public:
  // The kernel must not be larger than the image with its padding.
  Conv2d(const Conv2dShape& shape, Activation activation)
      : shape_(with_least_stride(shape)), rows_(shape_.rows()), columns_(shape_.columns()), activation_(activation) {}

  Index input_size() const override { return shape_.input_size(); }
  Index output_size() const override { return shape_.locations() * shape_.filters; }
  Index num_params() const override { return shape_.filters * (shape_.patch_size() + 1); }
  AffineMap affine_map() const override { return {shape_.patch_size(), shape_.filters, shape_.locations()}; }
  Index cache_size() const override { return keeps_derivative(activation_) ? output_size() : 0; }
  Index packed_size() const override { return (1 + shape_.patch_size()) * panel_columns<Scalar>(shape_.filters); }
  Index reverse_size() const override { return reverse_rows() * panel_columns<Scalar>(shape_.channels); }

  void packed_order(std::int32_t* order) const override {
    const Index channels = shape_.channels, taps = rows_.taps * columns_.taps;
    for_each_panel_element<Scalar>(1 + shape_.patch_size(), shape_.filters, [&](Index packed, Index k, Index o) {
      const Index tap = (k - 1) / channels, c = (k - 1) % channels;
      const Index parameter = k == 0 ? shape_.filters * shape_.patch_size() + o : (o * channels + c) * taps + tap;
      order[parameter] = static_cast<std::int32_t>(packed);
    });
  }

  void pack_reverse(const Scalar* packed, Scalar* reverse) const override {
    for_each_phase(
        [&](const ConvolutionAxis& rows, const ConvolutionAxis& columns, Index row, Index column, Index first_row) {
          for (Index t = 0; t < rows.taps; ++t) {
            for (Index u = 0; u < columns.taps; ++u) {
              const Index r = row + shape_.stride * (rows.taps - 1 - t),
                          q = column + shape_.stride * (columns.taps - 1 - u);
              copy_tap(packed, 1 + (r * columns_.taps + q) * shape_.channels, reverse,
                       first_row + (t * columns.taps + u) * shape_.filters);
            }
          }
        });
  }

  // In the order of theta, (c, r, q)
  void patches(const Scalar* x, Index first, Panel<Scalar> out) const override {
    out.setZero();
    for (Index n = 0; n < out.rows(); ++n) {
      const Index i = (first + n) / columns_.outputs, j = (first + n) % columns_.outputs;
      Scalar* patch = element_at(out, n, 0);
      for (Index r = rows_.tap_begin(i); r < rows_.tap_end(i); ++r) {
        for (Index q = columns_.tap_begin(j); q < columns_.tap_end(j); ++q) {
          const Scalar* pixel =
              x + ((rows_.position(i) + r) * shape_.width + columns_.position(j) + q) * shape_.channels;
          for (Index c = 0; c < shape_.channels; ++c) {
            patch[(c * rows_.taps + r) * columns_.taps + q] = pixel[c];
          }
        }
      }
    }
  }

  void forward(LayerBlock<Scalar>& at) const override {
    // y = phi(b + K(W) x)
    convolve(at.x.rows(), rows_, columns_, shape_.channels, true, term(at.x, at.packed), {}, output(at.y));
    apply_activation(activation_, at.y, at.cache);
  }

  void jvp(const LayerBlock<Scalar>& at, const Scalar* dpacked, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dz = db + K(dW) x + K(W) dx;   dy = phi'(z) dz
    convolve(dy.rows(), rows_, columns_, shape_.channels, true, term(at.x, dpacked), term(dx, at.packed), output(dy));
    multiply_by_derivative(activation_, kept(at), dy);
  }

  void vjp(const LayerBlock<Scalar>& at, Panel<Scalar> y_bar, Panel<Scalar> x_bar, Scalar* packed_bar) const override {
    // Reverse: y = phi(z)
    multiply_by_derivative(activation_, kept(at), y_bar);
    // Reverse: z = b + K(W) x, its W and b
    add_kernel_gradient(y_bar.rows(), rows_, columns_, at.x.data(), at.x.outerStride(), shape_.channels, y_bar.data(),
                        y_bar.outerStride(), shape_.filters, packed_bar);
    // Reverse: z = b + K(W) x, its x
    if (x_bar.data() == nullptr) return;
    for_each_phase(
        [&](const ConvolutionAxis& rows, const ConvolutionAxis& columns, Index row, Index column, Index first_row) {
          const Index u = first_pixel(row), v = first_pixel(column);
          convolve<Scalar>(
              y_bar.rows(), rows, columns, shape_.filters, false,
              {y_bar.data(), y_bar.outerStride(), at.reverse, reverse_rows(), first_row}, {},
              {x_bar.data() + (u * shape_.width + v) * shape_.channels, x_bar.outerStride(),
               shape_.stride * shape_.width * shape_.channels, shape_.stride * shape_.channels, shape_.channels});
        });
  }

 private:
  Index reverse_rows() const { return rows_.taps * columns_.taps * shape_.filters; }

  ConvolutionTerm<Scalar> term(const ConstPanel<Scalar>& x, const Scalar* packed) const {
    return {x.data(), x.outerStride(), packed, 1 + shape_.patch_size(), 1};
  }
  ConvolutionOutput<Scalar> output(const Panel<Scalar>& y) const {
    return {element_at(y, 0, 0), y.outerStride(), columns_.outputs * shape_.filters, shape_.filters, shape_.filters};
  }
  // what phi' is computed from
  ConstPanel<Scalar> kept(const LayerBlock<Scalar>& at) const {
    return view(keeps_derivative(activation_) ? at.cache : at.y);
  }

  // A stride beyond the image gives one output, as a stride as large as the image does, and has more phases.
  static Conv2dShape with_least_stride(Conv2dShape shape) {
    shape.stride = (std::min)(shape.stride, (std::max)(shape.height, shape.width) + 2 * shape.padding);
    return shape;
  }

  // The first pixel u with (u + p) mod s = phase
  Index first_pixel(Index phase) const {
    return ((phase - shape_.padding) % shape_.stride + shape_.stride) % shape_.stride;
  }

  // One axis of a phase of x_bar: pixel u = first_pixel(phase) + n s is a sum over the outputs i of this layer with
  // u + p - i s in the kernel: those up to (u + p - phase) / s.
  ConvolutionAxis phase_axis(const ConvolutionAxis& axis, Index phase) const {
    const Index first = first_pixel(phase);
    const Index pixels = first < axis.inputs ? (axis.inputs - 1 - first) / shape_.stride + 1 : 0;
    const Index taps = phase < axis.taps ? (axis.taps - 1 - phase) / shape_.stride + 1 : 0;
    return {axis.outputs, pixels, taps, (first + shape_.padding - phase) / shape_.stride - (taps - 1), 1};
  }

  // f(rows, columns, phase of the rows, of the columns, where its kernel begins in the rows of the reverse panels)
  template <class Function>
  void for_each_phase(Function&& f) const {
    Index first_row = 0;
    for (Index row = 0; row < shape_.stride; ++row) {
      const ConvolutionAxis rows = phase_axis(rows_, row);
      for (Index column = 0; column < shape_.stride; ++column) {
        const ConvolutionAxis columns = phase_axis(columns_, column);
        f(rows, columns, row, column, first_row);
        first_row += rows.taps * columns.taps * shape_.filters;
      }
    }
  }

  // One tap's (C, O), transposed: from rows of the packed panels to rows of the reverse panels
  void copy_tap(const Scalar* packed, Index from_row, Scalar* reverse, Index to_row) const {
    for_each_panel<Scalar>(shape_.filters, [&](auto from, Index o) {
      const Scalar* w = packed + o * (1 + shape_.patch_size()) + from_row * from.kWidth;
      for_each_panel<Scalar>(shape_.channels, [&](auto to, Index c) {
        transpose(w + c * from.kWidth, from.kWidth, reverse + c * reverse_rows() + (to_row + o) * to.kWidth, to.kWidth,
                  std::min<Index>(from.kWidth, shape_.filters - o), std::min<Index>(to.kWidth, shape_.channels - c));
      });
    });
  }

  Conv2dShape shape_;
  ConvolutionAxis rows_;
  ConvolutionAxis columns_;
  Activation activation_;
};

}  // namespace trpo_fast
