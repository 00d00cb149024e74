// AppendLogStd: y = [x, clamp(s)]: a state-independent log standard deviation as the last layer, so that the network
// owns all of theta and the Fisher operator has no special case. (ConcatFixedStd in joschu/modular_rl.)
#pragma once

#include "layer.hpp"

namespace trpo_fast {

// Outside these bounds sigma^-2 or sigma^2 leaves the useful range of float32; the derivative is 0 there.
constexpr double kMinLogStd = -20.0;
constexpr double kMaxLogStd = 2.0;

template <class Scalar>
class AppendLogStd final : public Layer<Scalar> {
 public:
  explicit AppendLogStd(Index size) : size_(size) {}

  Index input_size() const override { return size_; }
  Index output_size() const override { return 2 * size_; }
  Index num_params() const override { return size_; }

  void forward(ConstVectorView<Scalar> theta, ConstMatrixView<Scalar> x, MatrixView<Scalar> y,
               MatrixView<Scalar> /*cache*/) const override {
    // y = [x, clamp(s)];  a NaN in s stays a NaN
    y.leftCols(size_) = x;
    for (Index j = 0; j < size_; ++j) {
      const Scalar s = theta[j];
      y.col(size_ + j).setConstant(s < low() ? low() : s > high() ? high() : s);
    }
  }

  void jvp(const LayerBlock<Scalar>& at, ConstVectorView<Scalar> dtheta, ConstMatrixView<Scalar> dx,
           MatrixView<Scalar> dy) const override {
    // dy = [dx, clamp'(s) ds]
    if (dx.data() != nullptr) {
      dy.leftCols(size_) = dx;
    } else {
      dy.leftCols(size_).setZero();
    }
    for (Index j = 0; j < size_; ++j) dy.col(size_ + j).setConstant(inside(at.theta[j]) ? dtheta[j] : Scalar(0));
  }

  void vjp(const LayerBlock<Scalar>& at, MatrixView<Scalar> y_bar, MatrixView<Scalar> x_bar,
           VectorView<Scalar> theta_bar) const override {
    // Reverse: y = [x, clamp(s)]
    for (Index j = 0; j < size_; ++j) {
      if (inside(at.theta[j])) theta_bar[j] += y_bar.col(size_ + j).sum();
    }
    if (x_bar.data() != nullptr) x_bar = y_bar.leftCols(size_);
  }

 private:
  static constexpr Scalar low() { return Scalar(kMinLogStd); }
  static constexpr Scalar high() { return Scalar(kMaxLogStd); }
  static bool inside(Scalar s) { return !(s < low()) && !(s > high()); }

  Index size_;
};

}  // namespace trpo_fast
