// AppendLogStd: y = [x, clamp(s)]: a state-independent log standard deviation as the last layer, so that the network
// owns all of theta and the Fisher operator has no special case. (ConcatFixedStd in joschu/modular_rl.)
//
// Packed: s. Reverse: clamp'(s), 1 or 0.
#pragma once

#include <algorithm>
#include <numeric>

#include "../kernels/panels.hpp"
#include "layer.hpp"
#include "trpo_fast/common/log_std_bounds.hpp"

namespace trpo_fast {

template <class Scalar>
class AppendLogStd final : public Layer<Scalar> {
 public:
  explicit AppendLogStd(Index size) : size_(size) {}

  Index input_size() const override { return size_; }
  Index output_size() const override { return 2 * size_; }
  Index num_params() const override { return size_; }
  AffineMap affine_map() const override { return {0, size_}; }  // only a bias
  Index packed_size() const override { return size_; }
  void packed_order(std::int32_t* order) const override { std::iota(order, order + size_, 0); }

  Index reverse_size() const override { return size_; }
  void pack_reverse(const Scalar* packed, Scalar* reverse) const override {
    for (Index j = 0; j < size_; ++j) reverse[j] = packed[j] < low() || packed[j] > high() ? Scalar(0) : Scalar(1);
  }

  void forward(LayerBlock<Scalar>& at) const override {
    // y = [x, clamp(s)]
    write(at.x, at.y, [&](auto packet, Index j) {
      using Packet = decltype(packet);
      const Packet s = simd::ploadu<Packet>(at.packed + j);
      return simd::pmax(simd::pmin(s, simd::pset1<Packet>(high())), simd::pset1<Packet>(low()));  // NaN stays NaN
    });
  }

  void jvp(const LayerBlock<Scalar>& at, const Scalar* dpacked, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dy = [dx, clamp'(s) ds]
    write(dx, dy, [&](auto packet, Index j) {
      using Packet = decltype(packet);
      return simd::pmul(simd::ploadu<Packet>(at.reverse + j), simd::ploadu<Packet>(dpacked + j));
    });
  }

  void vjp(const LayerBlock<Scalar>& at, Panel<Scalar> y_bar, Panel<Scalar> x_bar, Scalar* packed_bar) const override {
    // Reverse: y = [x, clamp(s)]
    for_each_packet([&](auto packet, Index j) {
      using Packet = decltype(packet);
      const Packet slope = simd::ploadu<Packet>(at.reverse + j);
      Packet sum = simd::ploadu<Packet>(packed_bar + j);
      for (Index row = 0; row < y_bar.rows(); ++row) {
        Scalar* from = y_bar.data() + row * y_bar.outerStride();
        if (x_bar.data() != nullptr) {
          simd::pstoreu(x_bar.data() + row * x_bar.outerStride() + j, simd::ploadu<Packet>(from + j));
        }
        const Packet s_bar = simd::pmul(slope, simd::ploadu<Packet>(from + size_ + j));
        simd::pstoreu(from + size_ + j, s_bar);
        sum = simd::padd(sum, s_bar);
      }
      simd::pstoreu(packed_bar + j, sum);
    });
  }

 private:
  static constexpr Scalar low() { return Scalar(kMinLogStd); }
  static constexpr Scalar high() { return Scalar(kMaxLogStd); }

  // f(a packet as a type tag, its first column j) over the columns of s; the last packet may extend into padding
  template <class Function>
  void for_each_packet(Function&& f) const {
    for_each_panel<Scalar>(size_, [&](auto shape, Index column) {
      using Packet = typename decltype(shape)::Packet;
      for (Index j = column; j < column + shape.kWidth; j += kLanes<Packet>) f(Packet(), j);
    });
  }

  // y = [x, s] in every row, with x = 0 where it has no data. x is written first: its last packet may overwrite s
  template <class Function>
  void write(const ConstPanel<Scalar>& x, Panel<Scalar>& y, Function&& s) const {
    const bool x_has_padding = x.outerStride() >= panel_columns<Scalar>(size_);  // a batch of the caller has none
    if (x.data() != nullptr && !x_has_padding) {
      for (Index row = 0; row < y.rows(); ++row) {
        std::copy_n(x.data() + row * x.outerStride(), size_, y.data() + row * y.outerStride());
      }
    } else {
      for_each_packet([&](auto packet, Index j) {
        using Packet = decltype(packet);
        for (Index row = 0; row < y.rows(); ++row) {
          const Packet from = x.data() != nullptr ? simd::ploadu<Packet>(x.data() + row * x.outerStride() + j)
                                                  : simd::pset1<Packet>(Scalar(0));
          simd::pstoreu(y.data() + row * y.outerStride() + j, from);
        }
      });
    }
    for_each_packet([&](auto packet, Index j) {
      const auto value = s(packet, j);
      for (Index row = 0; row < y.rows(); ++row) simd::pstoreu(y.data() + row * y.outerStride() + size_ + j, value);
    });
  }

  Index size_;
};

}  // namespace trpo_fast
