// Raw observations: which are fit to be learned from, and the Normalizer that makes network inputs of them.
#pragma once

#include <cmath>
#include <utility>

#include "types.hpp"

namespace trpo_fast {

constexpr double kMaxMagnitude = 1e18;  // its square is still a float

// out = x, and whether every entry is finite and of magnitude up to kMaxMagnitude
template <class T>
bool copy_if_fit(ConstVectorView<T> x, VectorView<double> out) {
  bool fit = true;
  for (Index i = 0; i < x.size(); ++i) {
    out[i] = x[i];
    fit &= std::abs(out[i]) <= kMaxMagnitude;  // a NaN is not
  }
  return fit;
}

// x_hat = clip((x - mean) inv_std, -clip, clip), rounded once
class Normalizer {
 public:
  Normalizer(Vector<double> mean, Vector<double> inv_std, double clip)
      : mean_(std::move(mean)), inv_std_(std::move(inv_std)), clip_(clip) {}

  Index size() const { return mean_.size(); }

  template <class Scalar>
  void apply(ConstMatrixView<double> x,  // (B, obs_size), raw
             MatrixView<Scalar> out      // (B, obs_size)
  ) const {
    for (Index n = 0; n < x.rows(); ++n) {
      for (Index j = 0; j < x.cols(); ++j) {
        const double z = (x(n, j) - mean_[j]) * inv_std_[j];
        out(n, j) = static_cast<Scalar>(z < -clip_ ? -clip_ : z > clip_ ? clip_ : z);  // a NaN stays a NaN
      }
    }
  }

 private:
  Vector<double> mean_;
  Vector<double> inv_std_;
  double clip_;
};

}  // namespace trpo_fast
