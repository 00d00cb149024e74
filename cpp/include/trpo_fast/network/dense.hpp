// Dense: y = phi(x W^T + b), W (out, in) row-major, then b (out): the flat order of theta_l.
#pragma once

#include "activations.hpp"
#include "layer.hpp"

namespace trpo_fast {

template <class Scalar>
class Dense final : public Layer<Scalar> {
 public:
  Dense(Index input_size, Index output_size, Activation activation)
      : in_(input_size), out_(output_size), activation_(activation) {}

  Index input_size() const override { return in_; }
  Index output_size() const override { return out_; }
  Index num_params() const override { return out_ * in_ + out_; }
  Index cache_size() const override { return keeps_derivative(activation_) ? out_ : 0; }

  void forward(ConstVectorView<Scalar> theta, ConstMatrixView<Scalar> x, MatrixView<Scalar> y,
               MatrixView<Scalar> cache) const override {
    // y = phi(x W^T + b)
    y.noalias() = x * weight(theta).transpose();
    y.rowwise() += bias(theta).transpose();
    apply_activation(activation_, y, cache);
  }

  void jvp(const LayerBlock<Scalar>& at, ConstVectorView<Scalar> dtheta, ConstMatrixView<Scalar> dx,
           MatrixView<Scalar> dy) const override {
    // dz = x dW^T + db + dx W^T;   dy = phi'(z) dz
    dy.noalias() = at.x * weight(dtheta).transpose();
    dy.rowwise() += bias(dtheta).transpose();
    if (dx.data() != nullptr) dy.noalias() += dx * weight(at.theta).transpose();
    multiply_derivative(activation_, at.y, at.cache, dy);
  }

  void vjp(const LayerBlock<Scalar>& at, MatrixView<Scalar> y_bar, MatrixView<Scalar> x_bar,
           VectorView<Scalar> theta_bar) const override {
    // Reverse: y = phi(z)
    multiply_derivative(activation_, at.y, at.cache, y_bar);
    // Reverse: z = x W^T + b
    MatrixView<Scalar>(theta_bar.data(), out_, in_).noalias() += y_bar.transpose() * at.x;
    theta_bar.tail(out_) += y_bar.colwise().sum().transpose();
    if (x_bar.data() != nullptr) x_bar.noalias() = y_bar * weight(at.theta);
  }

 private:
  ConstMatrixView<Scalar> weight(ConstVectorView<Scalar> theta) const { return {theta.data(), out_, in_}; }
  ConstVectorView<Scalar> bias(ConstVectorView<Scalar> theta) const { return {theta.data() + out_ * in_, out_}; }

  Index in_;
  Index out_;
  Activation activation_;
};

}  // namespace trpo_fast
