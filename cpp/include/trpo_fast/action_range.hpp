// ActionRange: what an environment takes for an action row: start + clip(row, low, high), in the dtype of its space.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "types.hpp"

namespace trpo_fast {

class ActionRange {
 public:
  ActionRange(Vector<double> low, Vector<double> high, Vector<std::int64_t> start)  // (A,) each
      : low_(std::move(low)), high_(std::move(high)), start_(std::move(start)) {}

  Index size() const { return low_.size(); }

  template <class Scalar, class Out>
  void apply(ConstMatrixView<Scalar> actions,  // (n, A)
             MatrixView<Out> out               // (n, A)
  ) const {
    for (Index n = 0; n < actions.rows(); ++n) {
      for (Index j = 0; j < actions.cols(); ++j) {
        const double z = actions(n, j);
        out(n, j) = static_cast<Out>(z < low_[j] ? low_[j] : z > high_[j] ? high_[j] : z);  // a NaN stays a NaN
        if constexpr (std::is_integral_v<Out>) out(n, j) += static_cast<Out>(start_[j]);
      }
    }
  }

 private:
  Vector<double> low_;
  Vector<double> high_;
  Vector<std::int64_t> start_;  // of choices; the kernels count them from 0
};

}  // namespace trpo_fast
