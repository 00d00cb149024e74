// Flatten: images (H, W, C) as vectors in the order (C, H, W), so that a dense layer's weights have the order in which
// PyTorch stores them.
#pragma once

#include "../kernels/transpose.hpp"
#include "layer.hpp"

namespace trpo_fast {

template <class Scalar>
class Flatten final : public Layer<Scalar> {
 public:
  Flatten(Index height, Index width, Index channels) : pixels_(height * width), channels_(channels) {}

  Index input_size() const override { return pixels_ * channels_; }
  Index output_size() const override { return pixels_ * channels_; }
  Index num_params() const override { return 0; }
  Index packed_size() const override { return 0; }
  void packed_order(std::int32_t* /*order*/) const override {}

  void forward(LayerBlock<Scalar>& at) const override {
    // y[c, pixel] = x[pixel, c]
    transpose_rows(at.x, pixels_, channels_, at.y);
  }

  void jvp(const LayerBlock<Scalar>& /*at*/, const Scalar* /*dpacked*/, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dy[c, pixel] = dx[pixel, c]
    if (dx.data() == nullptr) {
      dy.setZero();
    } else {
      transpose_rows(dx, pixels_, channels_, dy);
    }
  }

  void vjp(const LayerBlock<Scalar>& /*at*/, Panel<Scalar> y_bar, Panel<Scalar> x_bar,
           Scalar* /*packed_bar*/) const override {
    // Reverse: y[c, pixel] = x[pixel, c]
    if (x_bar.data() != nullptr) transpose_rows(view(y_bar), channels_, pixels_, x_bar);
  }

 private:
  // each row of b = that of a, (rows, columns), transposed
  static void transpose_rows(const ConstPanel<Scalar>& a, Index rows, Index columns, Panel<Scalar>& b) {
    for (Index n = 0; n < a.rows(); ++n) {
      transpose(a.data() + n * a.outerStride(), columns, b.data() + n * b.outerStride(), rows, columns, rows);
    }
  }

  Index pixels_;
  Index channels_;
};

}  // namespace trpo_fast
