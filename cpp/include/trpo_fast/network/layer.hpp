// Layer: y = f(x; theta_l) on a block of rows, with its derivatives. Const, stateless: theta is an argument everywhere.
#pragma once

#include "../types.hpp"

namespace trpo_fast {

// One layer on one block of rows, as the forward pass left it. (What a recurrent layer needs besides becomes a field.)
template <class Scalar>
struct LayerBlock {
  ConstVectorView<Scalar> theta;  // (P_l,)
  ConstMatrixView<Scalar> x;      // (B, input_size)
  ConstMatrixView<Scalar> y;      // (B, output_size)
  ConstMatrixView<Scalar> cache;  // (B, cache_size)
};

template <class Scalar>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Index input_size() const = 0;
  virtual Index output_size() const = 0;
  virtual Index num_params() const = 0;
  // Columns kept beside y when the derivative cannot be had from y alone.
  virtual Index cache_size() const { return 0; }

  // y = f(x; theta)
  virtual void forward(ConstVectorView<Scalar> theta,  // (P_l,)
                       ConstMatrixView<Scalar> x,      // (B, input_size)
                       MatrixView<Scalar> y,           // (B, output_size)
                       MatrixView<Scalar> cache        // (B, cache_size)
  ) const = 0;

  // dy = d_x f dx + d_theta f dtheta.   dx without data stands for zero (the network's input).
  virtual void jvp(const LayerBlock<Scalar>& at,
                   ConstVectorView<Scalar> dtheta,  // (P_l,)
                   ConstMatrixView<Scalar> dx,      // (B, input_size) or no data
                   MatrixView<Scalar> dy            // (B, output_size)
  ) const = 0;

  // x_bar = (d_x f)^T y_bar;   theta_bar += (d_theta f)^T y_bar.
  // y_bar is overwritten on the way; x_bar without data is not computed.
  virtual void vjp(const LayerBlock<Scalar>& at,
                   MatrixView<Scalar> y_bar,     // (B, output_size)
                   MatrixView<Scalar> x_bar,     // (B, input_size) or no data
                   VectorView<Scalar> theta_bar  // (P_l,)
  ) const = 0;
};

}  // namespace trpo_fast
