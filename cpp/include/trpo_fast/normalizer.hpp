// Raw observations: the check of their values, and the Normalizer that turns them into network inputs.
#pragma once

#include <algorithm>
#include <cmath>

#include "types.hpp"

namespace trpo_fast {

constexpr double kMaxMagnitude = 1e18;  // its square is still a float

// out = x, and whether every entry is finite and of magnitude up to kMaxMagnitude
template <class T>
bool copy_if_fit(ConstVectorView<T> x, VectorView<double> out) {
  bool fit = true;
  for (Index i = 0; i < x.size(); ++i) {
    out[i] = x[i];
    fit &= std::abs(out[i]) <= kMaxMagnitude;  // false for a NaN
  }
  return fit;
}

// x_hat = clip((x - mean) inv_std, -clip, clip), rounded once
class Normalizer {
 public:
  Normalizer(const Vector<double>& mean, const Vector<double>& inv_std, double clip)
      : size_(mean.size()), mean_(with_room(mean)), inv_std_(with_room(inv_std)), clip_(clip) {}

  Index size() const { return size_; }

  template <class Scalar>
  void apply(ConstMatrixView<double> x,  // (B, obs_size), raw
             MatrixView<Scalar> out      // (B, obs_size)
  ) const {
    for (Index n = 0; n < x.rows(); ++n) {
      const double* raw = x.data() + n * x.cols();
      Scalar* to = out.data() + n * x.cols();
      Index j = 0;
      for (; j + kChunk <= x.cols(); j += kChunk) apply_chunk(raw + j, j, to + j);
      if (j < x.cols()) {
        double raw_rest[kChunk] = {};
        Scalar to_rest[kChunk];
        std::copy(raw + j, raw + x.cols(), raw_rest);
        apply_chunk(raw_rest, j, to_rest);
        std::copy(to_rest, to_rest + x.cols() - j, to + j);
      }
    }
  }

 private:
  static constexpr Index kChunk = 8;  // columns; a constant number, so that the loops are vectorised

  template <class Scalar>
  void apply_chunk(const double* raw, Index column, Scalar* to) const {
    double z[kChunk];
    for (Index j = 0; j < kChunk; ++j) z[j] = (raw[j] - mean_[column + j]) * inv_std_[column + j];
    for (Index j = 0; j < kChunk; ++j)
      z[j] = z[j] < -clip_ ? -clip_ : z[j] > clip_ ? clip_ : z[j];  // a NaN stays a NaN
    for (Index j = 0; j < kChunk; ++j) to[j] = static_cast<Scalar>(z[j]);
  }

  static Vector<double> with_room(const Vector<double>& v) {
    Vector<double> longer = Vector<double>::Zero(v.size() + kChunk);
    longer.head(v.size()) = v;
    return longer;
  }

  Index size_;
  Vector<double> mean_;  // both followed by kChunk zeros
  Vector<double> inv_std_;
  double clip_;
};

}  // namespace trpo_fast
