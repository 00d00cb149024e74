// ClampLogStd: y = [m, clamp(s)] of x = [m, s]: the last layer of a policy whose standard deviation depends on the
// state.
#pragma once

#include "layer.hpp"
#include "trpo_fast/common/log_std_bounds.hpp"

namespace trpo_fast {

template <class Scalar>
class ClampLogStd final : public Layer<Scalar> {
 public:
  explicit ClampLogStd(Index size) : size_(size) {}  // size of m

  Index input_size() const override { return 2 * size_; }
  Index output_size() const override { return 2 * size_; }
  Index num_params() const override { return 0; }
  Index packed_size() const override { return 0; }
  void packed_order(std::int32_t* /*order*/) const override {}

  void forward(LayerBlock<Scalar>& at) const override {
    at.y = at.x;
    for_each_log_std(at.y, [&](Scalar& s, Index, Index) {
      s = s < low() ? low() : s > high() ? high() : s;
    });  // NaN stays
  }

  void jvp(const LayerBlock<Scalar>& at, const Scalar* /*dpacked*/, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    // dy = [dm, clamp'(s) ds]
    if (dx.data() == nullptr) {
      dy.setZero();
    } else {
      dy = dx;
      for_each_log_std(dy, [&](Scalar& ds, Index n, Index j) { ds *= slope(at.x(n, j)); });
    }
  }

  void vjp(const LayerBlock<Scalar>& at, Panel<Scalar> y_bar, Panel<Scalar> x_bar,
           Scalar* /*packed_bar*/) const override {
    // Reverse: y = [m, clamp(s)]
    if (x_bar.data() == nullptr) return;
    x_bar = y_bar;
    for_each_log_std(x_bar, [&](Scalar& s_bar, Index n, Index j) { s_bar *= slope(at.x(n, j)); });
  }

 private:
  static constexpr Scalar low() { return Scalar(kMinLogStd); }
  static constexpr Scalar high() { return Scalar(kMaxLogStd); }
  static Scalar slope(Scalar s) { return s < low() || s > high() ? Scalar(0) : Scalar(1); }

  // f(element, row, column) over the second half of the columns
  template <class Function>
  void for_each_log_std(Panel<Scalar>& m, Function&& f) const {
    for (Index n = 0; n < m.rows(); ++n) {
      for (Index j = size_; j < 2 * size_; ++j) f(m(n, j), n, j);
    }
  }

  Index size_;
};

}  // namespace trpo_fast
