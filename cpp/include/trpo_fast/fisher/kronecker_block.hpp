// KroneckerBlock: the block of the Fisher matrix of an affine map z = x W^T + b, approximated by G (x) A (Martens &
// Grosse 2015, arXiv:1503.05671), damped and inverted. With V = [W b], A = E[[x 1] [x 1]^T] and G = E[z_bar z_bar^T]:
//
//   V -> (G + sqrt(damping)/pi I)^-1 V (A + pi sqrt(damping) I)^-1,   pi^2 = (tr A / dim A) / (tr G / dim G)
//
// (their Section 6.3). For a convolution (Grosse & Martens 2016, arXiv:1602.01407), which applies the map at T
// locations, A is the expected sum over the locations, and G the mean. A factor of more than kMaxFactor rows is
// replaced by the multiple of the identity that has its trace.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>

#include "../kernels/products.hpp"
#include "../network/layer.hpp"
#include "../padded_matrix.hpp"
#include "../solvers/invert_positive_definite.hpp"

namespace trpo_fast {

// Elements of the moments of vectors x (m): panels of (1 + m, m)
template <class Scalar>
Index moments_size(Index m) {
  return (1 + m) * panel_columns<Scalar>(m);
}

// moments += [sum of x; X^T X] over the rows of a block
template <class Scalar>
void add_moments(ConstPanel<Scalar> x,  // (B, m)
                 Scalar* moments        // panels of (1 + m, m)
) {
  const Scalar one(1);
  for_each_panel<Scalar>(x.cols(), [&](auto shape, Index column) {
    using Shape = decltype(shape);
    Scalar* sum = moments + column * (1 + x.cols());
    RegisterBlock<typename Shape::Packet, 1, Shape::kPackets> block;
    block.load(sum, Shape::kWidth);
    block.accumulate(&one, 0, 0, x.data() + column, x.outerStride(), x.rows());
    block.store(sum, Shape::kWidth);
  });
  add_outer_products(x.rows(), x.data(), x.outerStride(), x.cols(), x.data(), x.outerStride(), x.cols(), moments);
}

constexpr Index kMaxFactor = 2048;  // the time of an inversion grows with the cube of this

class KroneckerBlock {
  using Matrix = Eigen::MatrixXd;

 public:
  explicit KroneckerBlock(AffineMap map)
      : m_(map.inputs),
        n_(map.outputs),
        locations_(std::max<Index>(1, map.locations)),
        a_inverse_(factor_size(m_ + 1), factor_size(m_ + 1)),
        g_inverse_(factor_size(n_), factor_size(n_)),
        v_(n_, m_ + 1),
        product_(n_, m_ + 1) {}

  // Moments of x, then of z_bar
  template <class Scalar>
  Index num_moments() const {
    return moments_size<Scalar>(m_, m_ + 1) + moments_size<Scalar>(n_, n_);
  }

  // The rows are inputs and cotangents of the map: for a convolution, those of locations.
  template <class Scalar>
  void add(ConstPanel<Scalar> x,      // (B, >= m)
           ConstPanel<Scalar> y_bar,  // (B, >= n), z_bar in its last columns
           Scalar* moments            // (num_moments,)
  ) const {
    add_moments(columns(x, 0, m_), m_ + 1, moments);
    add_moments(columns(y_bar, y_bar.cols() - n_, n_), n_, moments + moments_size<Scalar>(m_, m_ + 1));
  }

  // Returns false if the map has no outputs or a factor cannot be inverted.
  template <class Scalar>
  bool invert(const double* moments,  // (num_moments,), of n_rows rows
              Index n_rows, double damping) {
    if (n_ == 0) return false;
    const double n_inputs = double(n_rows) * double(locations_);
    Matrix a = factor<Scalar>(moments, m_, n_inputs, m_ + 1);
    Matrix g = factor<Scalar>(moments + moments_size<Scalar>(m_, m_ + 1), n_, 0.0, n_);
    // A/pi and pi G have equal mean eigenvalues and are damped equally; their product is G (x) A. If G is 0, both are
    // 0.
    const double inverse_pi =
        std::sqrt(g.trace() / double(locations_) / double(g.rows()) / (a.trace() / double(a.rows())));
    a *= inverse_pi / double(n_rows);
    if (inverse_pi > 0.0) g /= inverse_pi * n_inputs;
    return invert(a, std::sqrt(damping), a_inverse_) && invert(g, std::sqrt(damping), g_inverse_);
  }

  // out = (G (x) A)^-1 v, damped
  void multiply(const double* v,  // (n m + n,): W row-major, then b
                double* out       // (n m + n,)
  ) {
    Panel<double> v_rows = v_.panel(0, n_);
    Panel<double> product = product_.panel(0, n_);
    v_rows.leftCols(m_) = ConstMatrixView<double>(v, n_, m_);
    v_rows.col(m_) = ConstVectorView<double>(v + n_ * m_, n_);
    if (is_full(m_ + 1)) {
      trpo_fast::multiply(view(v_rows), whole(a_inverse_), product);
    } else {
      product = v_rows * whole(a_inverse_)(0, 0);
    }
    if (is_full(n_)) {
      trpo_fast::multiply(whole(g_inverse_), view(product), v_rows);
    } else {
      v_rows = product * whole(g_inverse_)(0, 0);
    }
    MatrixView<double>(out, n_, m_) = v_rows.leftCols(m_);
    VectorView<double>(out + n_ * m_, n_) = v_rows.col(m_);
  }

 private:
  static bool is_full(Index dimension) { return dimension <= kMaxFactor; }
  static Index factor_size(Index dimension) { return is_full(dimension) ? dimension : 1; }

  // Elements of the moments of vectors (m), for a factor of `dimension` rows: panels of (1 + m, m) or, where it is
  // replaced by a multiple of the identity, their squares (m)
  template <class Scalar>
  static Index moments_size(Index m, Index dimension) {
    return is_full(dimension) ? trpo_fast::moments_size<Scalar>(m) : m;
  }

  template <class Scalar>
  static void add_moments(ConstPanel<Scalar> x, Index dimension, Scalar* moments) {
    if (is_full(dimension)) return trpo_fast::add_moments(x, moments);
    for (Index n = 0; n < x.rows(); ++n) {
      const Scalar* row = x.data() + n * x.outerStride();
      for (Index j = 0; j < x.cols(); ++j) moments[j] += row[j] * row[j];
    }
  }

  // The factor of the moments of vectors (m), with their sum and `ones`, the square of the 1 that is appended, where it
  // has m + 1 rows; or (1, 1), its mean eigenvalue
  template <class Scalar>
  static Matrix factor(const double* moments, Index m, double ones, Index dimension) {
    if (!is_full(dimension)) {
      return Matrix::Constant(1, 1, (std::accumulate(moments, moments + m, 0.0) + ones) / double(dimension));
    }
    Matrix result = Matrix::Zero(dimension, dimension);
    for_each_panel_element<Scalar>(1 + m, m, [&](Index i, Index k, Index j) {
      if (k > 0) {
        result(k - 1, j) = moments[i];
      } else if (dimension > m) {
        result(m, j) = result(j, m) = moments[i];
      }
    });
    if (dimension > m) result(m, m) = ones;
    return result;
  }

  static ConstPanel<double> whole(const PaddedMatrix<double>& m) { return m.panel(0, m.rows()); }

  // inverse = (factor + damping I)^-1; if rounding makes that indefinite, with a small addition to the diagonal.
  // Returns false if that does not help or the result is not finite.
  static bool invert(const Matrix& factor, double damping, PaddedMatrix<double>& inverse) {
    Panel<double> result = inverse.panel(0, inverse.rows());
    double jitter = 0.0;
    for (int attempt = 0; attempt <= kMaxJitters; ++attempt) {
      result = factor;
      result.diagonal().array() += damping + jitter;
      if (invert_positive_definite(result)) return result.allFinite();
      jitter = jitter == 0.0 ? kJitter * (damping + factor.trace() / double(factor.rows())) : 10.0 * jitter;
    }
    return false;
  }

  static constexpr double kJitter = 1e-7;  // of the mean eigenvalue: the rounding of moments in float32
  static constexpr int kMaxJitters = 3;    // each ten times the one before

  Index m_;
  Index n_;
  Index locations_;
  PaddedMatrix<double> a_inverse_;  // (m + 1, m + 1), or (1, 1)
  PaddedMatrix<double> g_inverse_;  // (n, n), or (1, 1)
  PaddedMatrix<double> v_;          // (n, m + 1)
  PaddedMatrix<double> product_;    // (n, m + 1)
};

}  // namespace trpo_fast
