// The Fisher operator and the surrogate objective: where networks meet distributions.
#include <limits>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/fisher/empirical_fisher_operator.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/objectives/surrogate.hpp"
#include "trpo_fast/objectives/vine.hpp"

namespace trpo_fast::tests {
namespace {

constexpr double kEntCoef = 0.25;

// mean_n J_n^T M(phi_n) J_n + damping I
template <class Scalar>
Eigen::MatrixXd reference_fisher(const Problem<Scalar>& p, double damping) {
  using Real = Wide<Scalar>;
  const std::vector<Real> theta = widened<Real>(p.theta);
  const std::size_t size = theta.size();
  Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic> sum(p.theta.size(), p.theta.size());
  sum.setZero();
  for (Index n = 0; n < p.x.rows(); ++n) {
    const std::vector<Real> x = widened<Real>(p.x.row(n)), phi = reference_forward(p.spec, theta, x);
    const auto jacobian = reference_jacobian(p.spec, theta, x);
    for (std::size_t i = 0; i < size; ++i) {
      const std::vector<Real> moved = reference_metric_product(p.factors, phi.data(), jacobian[i].data());
      for (std::size_t j = 0; j < size; ++j) {
        for (std::size_t k = 0; k < phi.size(); ++k) sum(Index(j), Index(i)) += jacobian[j][k] * moved[k];
      }
    }
  }
  Eigen::MatrixXd fisher = (sum / Real(p.x.rows())).template cast<double>();
  fisher.diagonal().array() += damping;
  return fisher;
}

TEST_BOTH(fisher_operator_is_the_mean_of_jacobian_metric_jacobian) {
  const double tolerance = 20.0 * double(std::numeric_limits<Scalar>::epsilon()), damping = 0.125;
  for (const PolicySpec& policy : policy_specs()) {
    const Problem<Scalar> p(policy, kBatchRows);
    FisherOperator<Scalar> fisher(*p.distribution, p.linearization(1), damping, 1);
    const Eigen::MatrixXd expected = reference_fisher(p, damping);
    Eigen::MatrixXd dense(expected.rows(), expected.cols());
    const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(dense.rows(), dense.cols());
    for (Index i = 0; i < dense.cols(); ++i) fisher.multiply(identity.col(i).data(), dense.col(i).data());
    CHECK((dense - expected).norm() <= tolerance * expected.norm(), "policy", policy.name);
    CHECK((dense - dense.transpose()).norm() <= tolerance * expected.norm(), "policy", policy.name);
  }
}

TEST_BOTH(empirical_fisher_is_the_mean_outer_product_of_the_score) {
  using Real = Wide<Scalar>;
  const double damping = 0.125;
  for (const PolicySpec& policy : policy_specs()) {
    const Problem<Scalar> p(policy, kBatchRows);
    EmpiricalFisherOperator<Scalar> fisher(*p.distribution, p.linearization(1), view(p.actions), damping, 1);
    const std::vector<Real> wide_theta = widened<Real>(p.theta);
    std::vector<Dual<Real>> theta(wide_theta.begin(), wide_theta.end());
    Eigen::MatrixXd scores(kBatchRows, p.theta.size());
    for (Index i = 0; i < p.theta.size(); ++i) {
      theta[std::size_t(i)].slope = 1;
      for (Index n = 0; n < kBatchRows; ++n) {
        const auto phi = reference_forward(p.spec, theta, widened<Dual<Real>>(p.x.row(n)));
        scores(n, i) = double(reference_log_prob(p.factors, phi.data(), p.actions.row(n).data()).slope);
      }
      theta[std::size_t(i)].slope = 0;
    }
    const Eigen::VectorXd v = p.theta.template cast<double>();
    const Eigen::VectorXd expected = scores.transpose() * (scores * v) / double(kBatchRows) + damping * v;
    Eigen::VectorXd product(v.size());
    fisher.multiply(v.data(), product.data());
    const double tolerance = 200.0 * double(std::numeric_limits<Scalar>::epsilon());
    CHECK((product - expected).norm() <= tolerance * expected.norm(), "policy", policy.name);
  }
}

// A theta nearby
template <class Scalar>
Vector<Scalar> moved_theta(Problem<Scalar>& p) {
  return p.theta + p.random.template vector<Scalar>(p.theta.size(), 0.01);
}

TEST_BOTH(surrogate_agrees_with_the_oracle) {
  using Real = Wide<Scalar>;
  const double tolerance = 200.0 * double(std::numeric_limits<Scalar>::epsilon());
  for (const PolicySpec& policy : policy_specs()) {
    Problem<Scalar> p(policy, kBatchRows);
    const SurrogateObjective<Scalar> objective(p.network, *p.distribution, p.theta_view(), view(p.x), view(p.actions),
                                               p.advantages_view(), kEntCoef, 1);
    const Vector<Scalar> theta_new = moved_theta(p);
    const ObjectiveValue value = objective.evaluate(theta_new.data());
    std::vector<Real> sums(4, Real(0));
    double scale = 1.0;
    for (Index n = 0; n < kBatchRows; ++n) {
      const std::vector<Real> x = widened<Real>(p.x.row(n));
      const std::vector<Real> old = reference_forward(p.spec, widened<Real>(p.theta), x);
      const std::vector<Real> phi = reference_forward(p.spec, widened<Real>(theta_new), x);
      const Scalar* action = p.actions.row(n).data();
      const Real kl = reference_kl(p.factors, old.data(), phi.data());
      const Real entropy = reference_entropy(p.factors, phi.data());
      const Real log_ratio =
          reference_log_prob(p.factors, phi.data(), action) - reference_log_prob(p.factors, old.data(), action);
      sums[0] += (std::exp(log_ratio) * Real(p.advantages[n]) + Real(kEntCoef) * entropy) / kBatchRows;
      scale += double(std::exp(log_ratio)) / kBatchRows;
      sums[1] += kl / kBatchRows;
      sums[2] = std::max(sums[2], kl);
      sums[3] += entropy / kBatchRows;
    }
    const std::vector<double> got{value.surrogate, value.mean_kl, value.max_kl, value.entropy};
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(std::abs(got[i] - double(sums[i])) <= tolerance * scale, "policy", policy.name, "term", i, "got", got[i]);
    }
    const ObjectiveValue still = objective.evaluate(p.theta.data());
    CHECK(still.mean_kl == 0.0 && still.max_kl == 0.0, "policy", policy.name, "KL", still.mean_kl);
    const double expected = p.advantages.mean() + kEntCoef * still.entropy;
    CHECK(std::abs(still.surrogate - expected) < 1e-14, "policy", policy.name);
  }
}

TEST_BOTH(gradient_agrees_with_the_oracle) {
  using Real = Wide<Scalar>;
  for (const PolicySpec& policy : policy_specs()) {
    const Problem<Scalar> p(policy, kBatchRows);
    const SurrogateObjective<Scalar> objective(p.network, *p.distribution, p.theta_view(), view(p.x), view(p.actions),
                                               p.advantages_view(), kEntCoef, 1);
    Vector<double> gradient(p.theta.size());
    objective.gradient(gradient.data());
    const std::vector<Real> wide_theta = widened<Real>(p.theta);
    std::vector<Dual<Real>> theta(wide_theta.begin(), wide_theta.end());
    std::vector<Real> expected;
    for (Dual<Real>& parameter : theta) {
      parameter.slope = 1;
      Real slope(0);
      for (Index n = 0; n < kBatchRows; ++n) {
        const auto phi = reference_forward(p.spec, theta, widened<Dual<Real>>(p.x.row(n)));
        slope += reference_log_prob(p.factors, phi.data(), p.actions.row(n).data()).slope * Real(p.advantages[n]);
        slope += Real(kEntCoef) * reference_entropy(p.factors, phi.data()).slope;
      }
      expected.push_back(slope / kBatchRows);
      parameter.slope = 0;
    }
    CHECK(is_close(gradient, expected, 100.0 * double(std::numeric_limits<Scalar>::epsilon())), "policy", policy.name);
  }
}

// Several actions a state, the first of them the one that every mask leaves.
template <class Scalar>
struct VineProblem : Problem<Scalar> {
  static constexpr Index kActions = 3;
  RowMatrix<Scalar> branches;  // (N, K A)
  RowMatrix<double> q_values;  // (N, K)

  explicit VineProblem(const PolicySpec& policy) : Problem<Scalar>(policy, kBatchRows) {
    const Index size = this->actions.cols();
    branches.resize(kBatchRows, kActions * size);
    for (Index k = 0; k < kActions; ++k) {
      branches.middleCols(k * size, size) = k == 0 || policy.network.is_masked
                                                ? this->actions
                                                : random_actions<Scalar>(this->factors, kBatchRows, this->random);
    }
    q_values = this->random.template matrix<double>(kBatchRows, kActions);
  }

  VineObjective<Scalar> objective(Proposal proposal) const {
    return {this->network,
            *this->distribution,
            this->theta_view(),
            view(this->x),
            view(branches),
            {q_values.data(), kBatchRows, kActions},
            proposal,
            kEntCoef,
            1};
  }

  // l_n + ent_coef entropy_n at phi' of T, with phi at theta
  template <class T, class Real>
  T reference_row(Index n, const std::vector<Real>& phi, const std::vector<T>& phi_new, Proposal proposal) const {
    using std::exp;
    const Index size = this->actions.cols();
    T sum(0), weights(0);
    for (Index k = 0; k < kActions; ++k) {
      const Scalar* action = branches.row(n).data() + k * size;
      T log_weight = reference_log_prob(this->factors, phi_new.data(), action);
      if (proposal == Proposal::policy)
        log_weight = log_weight - T(reference_log_prob(this->factors, phi.data(), action));
      const T weight = exp(log_weight);
      sum = sum + weight * T(Real(q_values(n, k)));
      weights = weights + weight;
    }
    return sum / weights + T(Real(kEntCoef)) * reference_entropy(this->factors, phi_new.data());
  }
};

TEST_BOTH(vine_objective_agrees_with_the_oracle) {
  using Real = Wide<Scalar>;
  const double epsilon = double(std::numeric_limits<Scalar>::epsilon());
  for (const PolicySpec& policy : policy_specs()) {
    for (const Proposal proposal : {Proposal::policy, Proposal::uniform}) {
      VineProblem<Scalar> p(policy);
      const VineObjective<Scalar> objective = p.objective(proposal);
      const Vector<Scalar> theta_new = moved_theta(p);
      const ObjectiveValue value = objective.evaluate(theta_new.data());
      Vector<double> gradient(p.theta.size());
      objective.gradient(gradient.data());
      const std::vector<Real> wide_theta = widened<Real>(p.theta);
      std::vector<Dual<Real>> theta(wide_theta.begin(), wide_theta.end());
      std::vector<Real> expected(theta.size(), Real(0));
      Real surrogate(0);
      for (Index n = 0; n < kBatchRows; ++n) {
        const std::vector<Real> x = widened<Real>(p.x.row(n)), phi = reference_forward(p.spec, wide_theta, x);
        const std::vector<Real> phi_new = reference_forward(p.spec, widened<Real>(theta_new), x);
        surrogate += p.template reference_row<Real>(n, phi, phi_new, proposal) / kBatchRows;
        for (std::size_t i = 0; i < theta.size(); ++i) {
          theta[i].slope = 1;
          const auto moving = reference_forward(p.spec, theta, widened<Dual<Real>>(p.x.row(n)));
          expected[i] += p.template reference_row<Dual<Real>>(n, phi, moving, proposal).slope / kBatchRows;
          theta[i].slope = 0;
        }
      }
      CHECK(is_close(gradient, expected, 100.0 * epsilon), "policy", policy.name, "proposal", int(proposal));
      const double error = std::abs(value.surrogate - double(surrogate));
      CHECK(error <= 200.0 * epsilon * (1.0 + std::abs(double(surrogate))), "policy", policy.name, "error", error);
      CHECK(objective.evaluate(p.theta.data()).max_kl == 0.0, "policy", policy.name);
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
