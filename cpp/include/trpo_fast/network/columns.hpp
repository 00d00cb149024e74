// Columns: some consecutive columns of a vector.
#pragma once

#include "layer.hpp"

namespace trpo_fast {

template <class Scalar>
class Columns final : public Layer<Scalar> {
 public:
  // Columns first ... first + count - 1
  Columns(Index input_size, Index first, Index count) : input_size_(input_size), first_(first), count_(count) {}

  Index input_size() const override { return input_size_; }
  Index output_size() const override { return count_; }
  Index num_params() const override { return 0; }
  Index packed_size() const override { return 0; }
  void packed_order(std::int32_t* /*order*/) const override {}

  void forward(LayerBlock<Scalar>& at) const override {
    // y = x[first ...]
    at.y = columns(at.x, first_, count_);
  }

  void jvp(const LayerBlock<Scalar>& /*at*/, const Scalar* /*dpacked*/, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dy = dx[first ...]
    if (dx.data() == nullptr) {
      dy.setZero();
    } else {
      dy = columns(dx, first_, count_);
    }
  }

  void vjp(const LayerBlock<Scalar>& /*at*/, Panel<Scalar> y_bar, Panel<Scalar> x_bar,
           Scalar* /*packed_bar*/) const override {
    // Reverse: y = x[first ...]
    if (x_bar.data() == nullptr) return;
    x_bar.setZero();
    columns(x_bar, first_, count_) = y_bar;
  }

 private:
  Index input_size_;
  Index first_;
  Index count_;
};

}  // namespace trpo_fast
