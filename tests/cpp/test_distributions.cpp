// Distributions: every row function against the oracle, on columns of wider matrices whose other columns are NaN.
#include <limits>
#include <vector>

#include "problems.hpp"

namespace trpo_fast::tests {
namespace {

constexpr Index kRows = 67;

// A matrix as some columns of a wider one.
template <class Scalar>
class Embedded {
 public:
  explicit Embedded(const RowMatrix<Scalar>& m) : Embedded(m.rows(), m.cols()) { panel() = m; }
  Embedded(Index rows, Index cols)
      : all_(RowMatrix<Scalar>::Constant(rows, cols + 5, std::numeric_limits<Scalar>::quiet_NaN())) {}

  Panel<Scalar> panel() {
    return columns(trpo_fast::panel(MatrixView<Scalar>(all_.data(), all_.rows(), all_.cols())), 2, all_.cols() - 5);
  }
  ConstPanel<Scalar> view() { return trpo_fast::view(panel()); }
  bool others_untouched() { return all_.leftCols(2).hasNaN() && all_.array().isNaN().count() == 5 * all_.rows(); }

 private:
  RowMatrix<Scalar> all_;
};

template <class Scalar>
struct Fixture {
  Factors factors;
  std::shared_ptr<const Distribution<Scalar>> distribution;
  Random random{7};
  Index k, a;
  Embedded<Scalar> p, q, actions;

  explicit Fixture(const PolicySpec& policy)
      : factors(policy.factors),
        distribution(make_distribution<Scalar>(factors)),
        k(distribution->num_dist_params()),
        a(distribution->action_size()),
        p(random.matrix<Scalar>(kRows, k)),
        q(random.matrix<Scalar>(kRows, k)),
        actions(random_actions<Scalar>(factors, kRows, random)) {
    if (!policy.network.is_masked) return;
    const RowMatrix<Scalar> mask = random_mask<Scalar>(factors, actions.panel(), random);
    for (Embedded<Scalar>* m : {&p, &q}) {
      m->panel() = (mask.array() == Scalar(0)).select(-std::numeric_limits<Scalar>::infinity(), m->panel());
    }
  }

  template <class Real>
  std::vector<Real> row(Embedded<Scalar>& m, Index n) {
    return widened<Real>(m.panel().row(n));
  }
  std::vector<Scalar> action(Index n) { return row<Scalar>(actions, n); }
};

template <class Function>
Vector<double> added_to_ones(Function&& f) {
  Vector<double> out = Vector<double>::Ones(kRows);  // row functions add to their output
  f(VectorView<double>(out.data(), kRows));
  return out;
}

TEST_BOTH(log_prob_kl_and_entropy_agree_with_the_oracle) {
  for (const PolicySpec& policy : policy_specs()) {
    Fixture<Scalar> f(policy);
    const auto& d = *f.distribution;
    const auto log_prob = added_to_ones([&](auto out) { d.log_prob(f.q.view(), f.actions.view(), out); });
    const auto ratio = added_to_ones([&](auto out) { d.log_ratio(f.p.view(), f.q.view(), f.actions.view(), out); });
    const auto kl = added_to_ones([&](auto out) { d.kl_divergence(f.p.view(), f.q.view(), out); });
    const auto entropy = added_to_ones([&](auto out) { d.entropy(f.q.view(), out); });
    Vector<double> compared[3] = {Vector<double>::Ones(kRows), Vector<double>::Ones(kRows),
                                  Vector<double>::Ones(kRows)};
    VectorView<double> outs[] = {{compared[0].data(), kRows}, {compared[1].data(), kRows}, {compared[2].data(), kRows}};
    d.compare(f.p.view(), f.q.view(), f.actions.view(), outs[0], outs[1], outs[2]);
    for (Index n = 0; n < kRows; ++n) {
      const auto p = f.template row<long double>(f.p, n), q = f.template row<long double>(f.q, n);
      const std::vector<Scalar> action = f.action(n);
      const auto log_q = reference_log_prob(f.factors, q.data(), action.data());
      const auto log_p = reference_log_prob(f.factors, p.data(), action.data());
      const auto kl_n = reference_kl(f.factors, p.data(), q.data());
      const auto entropy_n = reference_entropy(f.factors, q.data());
      const long double got[] = {log_prob[n],    ratio[n],       kl[n],         entropy[n],
                                 compared[0][n], compared[1][n], compared[2][n]};
      const long double expected[] = {log_q, log_q - log_p, kl_n, entropy_n, log_q - log_p, kl_n, entropy_n};
      for (int i = 0; i < 7; ++i) {
        const long double error = std::abs(got[i] - 1.0L - expected[i]);
        CHECK(error <= 1e-13L * (1.0L + std::abs(expected[i])), "policy", policy.name, "row", n, "function", i);
      }
    }
  }
}

TEST_BOTH(score_and_metric_agree_with_the_oracle) {
  const double tolerance = 20.0 * double(std::numeric_limits<Scalar>::epsilon());
  for (const PolicySpec& policy : policy_specs()) {
    Fixture<Scalar> f(policy);
    const auto& d = *f.distribution;
    const Vector<double> weight = f.random.template vector<double>(kRows);
    Embedded<Scalar> score(kRows, f.k), metric(kRows, f.k), product(kRows, f.k);
    Embedded<Scalar> dphi(f.random.template matrix<Scalar>(kRows, f.k));
    d.log_prob_vjp(f.p.view(), f.actions.view(), {weight.data(), kRows}, score.panel());
    Embedded<Scalar> entropy(RowMatrix<Scalar>(RowMatrix<Scalar>::Ones(kRows, f.k)));  // it adds
    d.entropy_vjp(f.p.view(), 0.5, entropy.panel());
    d.fisher_metric(f.p.view(), metric.panel());
    d.multiply_fisher(metric.view(), dphi.view(), product.panel());
    CHECK(score.others_untouched() && entropy.others_untouched(), "policy", policy.name);
    CHECK(metric.others_untouched() && product.others_untouched(), "policy", policy.name);
    for (Index n = 0; n < kRows; ++n) {
      const auto p = f.template row<long double>(f.p, n);
      const std::vector<Scalar> action = f.action(n);
      std::vector<Dual<long double>> at(p.begin(), p.end());
      std::vector<long double> expected, of_entropy;
      for (auto& phi_j : at) {
        phi_j.slope = 1;
        expected.push_back(weight[n] * reference_log_prob(f.factors, at.data(), action.data()).slope);
        of_entropy.push_back(1.0L + 0.5L * reference_entropy(f.factors, at.data()).slope);
        phi_j.slope = 0;
      }
      CHECK(is_close(score.panel().row(n), expected, tolerance), "policy", policy.name, "row", n);
      CHECK(is_close(entropy.panel().row(n), of_entropy, tolerance), "policy", policy.name, "row", n);
      const auto direction = f.template row<long double>(dphi, n);
      const auto moved = reference_metric_product(f.factors, p.data(), direction.data());
      CHECK(is_close(product.panel().row(n), moved, tolerance), "policy", policy.name, "row", n);
    }
  }
}

// Actions are those of the same rows in matrices of their own; the mode is the most probable of all samples.
TEST_BOTH(samples_do_not_depend_on_strides) {
  for (const PolicySpec& policy : policy_specs()) {
    Fixture<Scalar> f(policy);
    const auto& d = *f.distribution;
    Embedded<Scalar> noise(f.random.template matrix<Scalar>(kRows, f.a)), sampled(kRows, f.a), most(kRows, f.a);
    d.sample(f.p.view(), noise.view(), sampled.panel());
    d.mode(f.p.view(), most.panel());
    CHECK(sampled.others_untouched() && most.others_untouched(), "policy", policy.name);
    CHECK(d.first_invalid_action(sampled.view()) < 0, "policy", policy.name);
    const RowMatrix<Scalar> phi = f.p.panel(), z = noise.panel();
    RowMatrix<Scalar> again(kRows, f.a);
    d.sample(panel(view(phi)), panel(view(z)), panel(MatrixView<Scalar>(again.data(), kRows, f.a)));
    CHECK(again == sampled.panel(), "policy", policy.name);
    const auto of_mode = added_to_ones([&](auto out) { d.log_prob(f.p.view(), most.view(), out); });
    const auto of_sample = added_to_ones([&](auto out) { d.log_prob(f.p.view(), sampled.view(), out); });
    CHECK((of_mode.array() >= of_sample.array()).all(), "policy", policy.name);
  }
}

}  // namespace
}  // namespace trpo_fast::tests
