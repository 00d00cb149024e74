// Dense: y = phi(x W^T + b); theta_l is W (out, in) row-major, then b (out).
//
// Packed: the panels of [b; W^T], (1 + in, out). Reverse: the panels of W, (out, in).
#pragma once

#include "../kernels/products.hpp"
#include "../kernels/transpose.hpp"
#include "../padded_matrix.hpp"
#include "activation_passes.hpp"
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
  AffineMap affine_map() const override { return {in_, out_}; }
  Index cache_size() const override { return keeps_derivative(activation_) ? out_ : 0; }
  Index packed_size() const override { return (1 + in_) * panel_columns<Scalar>(out_); }
  Index reverse_size() const override { return out_ * panel_columns<Scalar>(in_); }

  void packed_order(std::int32_t* order) const override {
    for_each_panel_element<Scalar>(1 + in_, out_, [&](Index packed, Index k, Index j) {
      order[k == 0 ? out_ * in_ + j : j * in_ + k - 1] = static_cast<std::int32_t>(packed);
    });
  }

  void pack_reverse(const Scalar* packed, Scalar* reverse) const override {
    transpose_panels(packed, in_, out_, reverse);
  }

  void forward(LayerBlock<Scalar>& block) const override {
    // z = x W^T + b
    // Several partial sums per element make acting on a single row faster. Their number must depend on the layer alone.
    if (out_ <= kNarrow) {
      multiply<4, Scalar>(block.x.rows(), out_, affine(block.x, block.packed), {}, block.y);
    } else {
      multiply<2, Scalar>(block.x.rows(), out_, affine(block.x, block.packed), {}, block.y);
    }
    // y = phi(z)
    apply_activation(activation_, block.y, block.cache);
  }

  void jvp(const LayerBlock<Scalar>& block, const Scalar* dpacked, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dz = x dW^T + db + dx W^T;   dy = phi'(z) dz
    const MatrixProduct<Scalar> moved{dx.data(), dx.outerStride(), block.packed, 1 + in_, in_};
    multiply<1>(dy.rows(), out_, affine(block.x, dpacked), moved, dy, TimesDerivative{activation_, kept(block)});
  }

  void vjp(const LayerBlock<Scalar>& block, Panel<Scalar> y_bar, Panel<Scalar> x_bar,
           Scalar* packed_bar) const override {
    // Reverse: y = phi(z)
    with_activation(activation_, [&](auto phi) { reverse_activation<phi>(kept(block), y_bar, packed_bar); });
    // Reverse: z = x W^T + b, its W
    add_outer_products(y_bar.rows(), block.x.data(), block.x.outerStride(), in_, y_bar.data(), y_bar.outerStride(),
                       out_, packed_bar);
    // Reverse: z = x W^T + b, its x
    if (x_bar.data() != nullptr) {
      const TimesDerivative unchanged{Activation::identity, kept(block)};  // so that it is the product of jvp
      multiply<1, Scalar>(y_bar.rows(), in_, {y_bar.data(), y_bar.outerStride(), block.reverse, out_, out_}, {}, x_bar,
                          unchanged);
    }
  }

 private:
  // Multiplies a register block by phi'(z) before it is stored. The activation is chosen once per block, within the
  // product, which would otherwise be compiled once per activation.
  struct TimesDerivative {
    Activation activation;
    ConstPanel<Scalar> kept;

    template <class Block>
    EIGEN_ALWAYS_INLINE void operator()(Block& block, Index row, Index column) const {
      switch (activation) {  // not with_activation: a block that a function receives leaves the registers
        case Activation::identity:
          return;
        case Activation::tanh:
          return apply<Activation::tanh>(block, row, column);
        case Activation::relu:
          return apply<Activation::relu>(block, row, column);
        case Activation::elu:
          return apply<Activation::elu>(block, row, column);
        case Activation::silu:
          return apply<Activation::silu>(block, row, column);
      }
    }

   private:
    template <Activation kActivation, class Block>
    EIGEN_ALWAYS_INLINE void apply(Block& block, Index first_row, Index first_column) const {
      block.map([&](const auto& dz, Index row, Index column) {
        const Scalar* from = element_at(kept, first_row + row, first_column + column);
        return times_derivative<kActivation>(dz, simd::ploadu<std::decay_t<decltype(dz)>>(from));
      });
    }
  };

  // y_bar *= phi'(z);   b_bar += the sums of its columns
  template <Activation kActivation>
  void reverse_activation(const ConstPanel<Scalar>& kept, const Panel<Scalar>& y_bar, Scalar* packed_bar) const {
    for_each_panel<Scalar>(out_, [&](auto shape, Index column) {
      using Packet = typename decltype(shape)::Packet;
      constexpr int n_packets = shape.kPackets;
      Scalar* b_bar = packed_bar + column * (1 + in_);
      Packet sum[n_packets];
      TRPO_FAST_UNROLL for (int j = 0; j < n_packets; ++j) sum[j] = simd::ploadu<Packet>(b_bar + j * kLanes<Packet>);
      for (Index row = 0; row < y_bar.rows(); ++row) {
        TRPO_FAST_UNROLL for (int j = 0; j < n_packets; ++j) {
          Scalar* z_bar = element_at(y_bar, row, column + j * kLanes<Packet>);
          const Packet from = simd::ploadu<Packet>(element_at(kept, row, column + j * kLanes<Packet>));
          const Packet z = times_derivative<kActivation>(simd::ploadu<Packet>(z_bar), from);
          simd::pstoreu(z_bar, z);
          sum[j] = simd::padd(sum[j], z);
        }
      }
      TRPO_FAST_UNROLL for (int j = 0; j < n_packets; ++j) simd::pstoreu(b_bar + j * kLanes<Packet>, sum[j]);
    });
  }

  // [1, x] [b; W^T]
  MatrixProduct<Scalar> affine(const ConstPanel<Scalar>& x, const Scalar* packed) const {
    return {x.data(), x.outerStride(), packed, 1 + in_, in_};
  }
  // what phi' is computed from
  ConstPanel<Scalar> kept(const LayerBlock<Scalar>& block) const {
    return view(keeps_derivative(activation_) ? block.cache : block.y);
  }

  static constexpr Index kNarrow = 16;  // up to so many columns leave most of a register block idle

  Index in_;
  Index out_;
  Activation activation_;
};

}  // namespace trpo_fast
