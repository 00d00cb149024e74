// Conjugate gradient, Adam and the critic's fit against plain loops.
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/solvers/conjugate_gradient.hpp"
#include "trpo_fast/solvers/invert_positive_definite.hpp"
#include "trpo_fast/solvers/value_fit.hpp"

namespace trpo_fast::tests {
namespace {

class DenseOperator final : public LinearOperator {
 public:
  explicit DenseOperator(Eigen::MatrixXd a) : a_(std::move(a)) {}
  Index size() const override { return a_.rows(); }
  void multiply(const double* v, double* out) override {
    VectorView<double>(out, size()) = a_ * ConstVectorView<double>(v, size());
  }

 private:
  Eigen::MatrixXd a_;
};

ConstVectorView<double> vector_view(const Vector<double>& v) { return {v.data(), v.size()}; }

// x with a x = b, by elimination without pivots: a is positive definite
Vector<double> eliminated(Eigen::MatrixXd a, Vector<double> b) {
  const Index n = b.size();
  for (Index i = 0; i < n; ++i) {
    for (Index row = i + 1; row < n; ++row) {
      const double factor = a(row, i) / a(i, i);
      for (Index j = i; j < n; ++j) a(row, j) -= factor * a(i, j);
      b[row] -= factor * b[i];
    }
  }
  for (Index i = n - 1; i >= 0; --i) {
    for (Index j = i + 1; j < n; ++j) b[i] -= a(i, j) * b[j];
    b[i] /= a(i, i);
  }
  return b;
}

TEST(conjugate_gradient_solves) {
  Random random(8);
  for (const Index n : {1, 2, 7, 33, 70}) {
    const Eigen::MatrixXd root = random.matrix<double>(n, n);
    const Eigen::MatrixXd a = root * root.transpose() + double(n) * Eigen::MatrixXd::Identity(n, n);
    const Vector<double> b = 1e6 * random.vector<double>(n);
    DenseOperator op(a), inverse_diagonal(a.diagonal().cwiseInverse().asDiagonal().toDenseMatrix());
    const Vector<double> expected = eliminated(a, b);
    for (LinearOperator* preconditioner :
         {static_cast<LinearOperator*>(nullptr), static_cast<LinearOperator*>(&inverse_diagonal)}) {
      const CGResult result = conjugate_gradient(op, vector_view(b), 2 * n, 1e-13, preconditioner);
      CHECK(result.status == CGStatus::converged, "n", n, "status", int(result.status));
      CHECK((result.x - expected).norm() <= 1e-11 * expected.norm(), "n", n);
      CHECK(std::abs(result.quadratic_form / expected.dot(a * expected) - 1.0) < 1e-11, "n", n);
      CHECK(result.residual_norm <= 1e-13 * b.norm(), "n", n);
    }
  }
}

TEST(inverses_of_positive_definite_matrices) {
  Random random(14);
  for (const Index n : {1, 2, 7, 33, 70}) {
    const Eigen::MatrixXd root = random.matrix<double>(n, n);
    const Eigen::MatrixXd a = root * root.transpose() + 0.1 * Eigen::MatrixXd::Identity(n, n);
    PaddedMatrix<double> inverse(n, n);
    Panel<double> result = inverse.panel(0, n);
    result = a;
    result.triangularView<Eigen::StrictlyUpper>().setConstant(std::nan(""));  // not read
    CHECK(invert_positive_definite(result), "n", n);
    CHECK(result == result.transpose(), "n", n);
    for (Index j = 0; j < n; ++j) {
      const Vector<double> expected = eliminated(a, Eigen::MatrixXd::Identity(n, n).col(j));
      CHECK(is_close(result.col(j), expected, 1e-10), "n", n, "column", j);
    }
    for (const double bad : {-1.0, 0.0, std::nan(""), HUGE_VAL}) {
      result = Eigen::MatrixXd::Identity(n, n);
      result(n / 2, n / 2) = bad;
      CHECK(!invert_positive_definite(result), "n", n, "bad", bad);
    }
  }
}

TEST(conjugate_gradient_says_how_it_ended) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Vector<double> b = Vector<double>::Ones(3), zero = Vector<double>::Zero(3),
                       bad = Vector<double>::Constant(3, nan);
  DenseOperator identity(Eigen::MatrixXd::Identity(3, 3)), negative(-Eigen::MatrixXd::Identity(3, 3)),
      broken(Eigen::MatrixXd::Constant(3, 3, nan)),
      graded(Vector<double>(Vector<double>::LinSpaced(3, 1, 3)).asDiagonal().toDenseMatrix());
  const auto status = [&](LinearOperator& a, const Vector<double>& rhs) {
    const CGResult result = conjugate_gradient(a, vector_view(rhs), 2, 1e-12);
    CHECK(result.x.allFinite(), "status", int(result.status));
    return result.status;
  };
  CHECK(status(identity, b) == CGStatus::converged, "b", 1);
  CHECK(status(graded, b) == CGStatus::max_iter, "b", 1);
  CHECK(status(identity, zero) == CGStatus::zero_rhs, "b", 0);
  CHECK(status(identity, bad) == CGStatus::non_finite, "b", nan);
  CHECK(status(negative, b) == CGStatus::negative_curvature, "b", 1);
  CHECK(status(broken, b) == CGStatus::non_finite, "b", 1);
}

template <class Real>
struct ReferenceAdam {
  std::vector<Real> theta, m, v;
  std::int64_t n_steps;

  void step(const AdamOptions& options, const std::vector<Real>& gradient) {
    ++n_steps;
    const Real beta1 = Real(options.beta1), beta2 = Real(options.beta2);
    for (std::size_t i = 0; i < theta.size(); ++i) {
      m[i] = beta1 * m[i] + (1 - beta1) * gradient[i];
      v[i] = beta2 * v[i] + (1 - beta2) * gradient[i] * gradient[i];
      const Real m_hat = m[i] / (1 - std::pow(beta1, Real(n_steps)));
      const Real v_hat = v[i] / (1 - std::pow(beta2, Real(n_steps)));
      theta[i] -= Real(options.learning_rate) * m_hat / (std::sqrt(v_hat) + Real(options.epsilon));
    }
  }
};

TEST_BOTH(adam_is_the_algorithm) {
  using Real = Wide<Scalar>;
  Random random(9);
  const Index size = padded<Scalar>(1) * 3;
  const AdamOptions options{0.01};
  Vector<Scalar> theta = random.vector<Scalar>(size), m = random.vector<Scalar>(size),
                 v = random.vector<Scalar>(size).cwiseAbs();
  ReferenceAdam<Real> expected{widened<Real>(theta), widened<Real>(m), widened<Real>(v), 41};
  for (int i = 0; i < 20; ++i) {
    const Vector<Scalar> gradient = random.vector<Scalar>(size);
    adam_step(options, 42 + i, gradient, m, v, theta);
    expected.step(options, widened<Real>(gradient));
  }
  const double tolerance = 20.0 * double(std::numeric_limits<Scalar>::epsilon());
  CHECK(is_close(theta, expected.theta, tolerance), "size", size);
  CHECK(is_close(m, expected.m, tolerance) && is_close(v, expected.v, tolerance), "size", size);
}

// Epochs of minibatches of 100 of 130 rows: blocks of 64, 36 and 30.
TEST_BOTH(value_fit_is_the_plain_loop) {
  using Real = Wide<Scalar>;
  constexpr Index n_rows = 130, n_epochs = 3, batch_size = 100;
  const NetworkSpec spec{{3, 5, 4, 1}, Activation::tanh, false};
  const Network<Scalar> network = make_network<Scalar>(spec);
  Random random(10);
  const Index size = network.num_params();
  const RowMatrix<Scalar> x = random.matrix<Scalar>(n_rows, 3);
  const Vector<Scalar> targets = random.vector<Scalar>(n_rows), theta = random.vector<Scalar>(size, 0.5);
  const Vector<Scalar> m = random.vector<Scalar>(size, 0.01), v = random.vector<Scalar>(size, 0.1).cwiseAbs();
  RowMatrix<std::int64_t> order(n_epochs, n_rows);
  for (Index epoch = 0; epoch < n_epochs; ++epoch) {
    for (Index i = 0; i < n_rows; ++i) order(epoch, i) = (7 + 11 * i + epoch) % n_rows;
  }
  const AdamOptions options{0.01};
  const auto of = [](const Vector<Scalar>& values) { return ConstVectorView<Scalar>(values.data(), values.size()); };
  ValueFit<Scalar> fit(network, view(x), of(targets), view(order), batch_size, options, {of(theta), of(m), of(v), 5});
  fit.run([] {});

  ReferenceAdam<Real> adam{widened<Real>(theta), widened<Real>(m), widened<Real>(v), 5};
  Real loss(0);
  for (Index epoch = 0; epoch < n_epochs; ++epoch) {
    loss = 0;
    for (Index begin = 0; begin < n_rows; begin += batch_size) {
      const Index count = std::min(batch_size, n_rows - begin);
      std::vector<Real> gradient(adam.theta.size(), Real(0));
      for (Index i = begin; i < begin + count; ++i) {
        const std::vector<Real> row = widened<Real>(x.row(order(epoch, i)));
        const Real error = reference_forward(spec, adam.theta, row)[0] - Real(targets[order(epoch, i)]);
        const auto jacobian = reference_jacobian(spec, adam.theta, row);
        for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] += 2 * error * jacobian[k][0] / Real(count);
        loss += error * error / n_rows;
      }
      adam.step(options, gradient);
    }
  }
  Vector<Scalar> out[] = {Vector<Scalar>(size), Vector<Scalar>(size), Vector<Scalar>(size)};
  fit.read({out[0].data(), size}, {out[1].data(), size}, {out[2].data(), size});
  const double tolerance = 100.0 * double(std::numeric_limits<Scalar>::epsilon());
  CHECK(is_close(out[0], adam.theta, tolerance), "P", size);
  CHECK(is_close(out[1], adam.m, 10 * tolerance) && is_close(out[2], adam.v, 10 * tolerance), "P", size);
  CHECK(std::abs(fit.loss() - double(loss)) <= tolerance * double(loss), "loss", fit.loss());
  CHECK(fit.finite() && fit.n_steps() == 5 + 2 * n_epochs, "steps", fit.n_steps());
}

}  // namespace
}  // namespace trpo_fast::tests
