// ActionRange: turns an action row into an action of the environment: start + clip(row, low, high) in the dtype of its
// space. A squashed row is first mapped to low..high by tanh.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "types.hpp"

namespace trpo_fast {

class ActionRange {
 public:
  ActionRange(Vector<double> low, Vector<double> high, Vector<std::int64_t> start, bool squash)  // (A,) each
      : low_(std::move(low)), high_(std::move(high)), start_(std::move(start)), squash_(squash) {}

  Index size() const { return low_.size(); }

  template <class Scalar, class Out>
  void apply(ConstMatrixView<Scalar> actions,  // (n, A)
             MatrixView<Out> out               // (n, A)
  ) const {
    for (Index n = 0; n < actions.rows(); ++n) {
      for (Index j = 0; j < actions.cols(); ++j) {
        const double z = squash_ ? squashed(actions(n, j), j) : double(actions(n, j));
        out(n, j) = static_cast<Out>(z < low_[j] ? low_[j] : z > high_[j] ? high_[j] : z);  // a NaN stays a NaN
        if constexpr (std::is_integral_v<Out>) out(n, j) += static_cast<Out>(start_[j]);
      }
    }
  }

 private:
  double squashed(double z, Index j) const {
    return 0.5 * (low_[j] + high_[j]) + 0.5 * (high_[j] - low_[j]) * std::tanh(z);
  }

  Vector<double> low_;
  Vector<double> high_;
  Vector<std::int64_t> start_;  // number of the first choice; the kernels count from 0
  bool squash_;
};

}  // namespace trpo_fast
