// No memory is allocated in products, in an iteration of conjugate gradient, nor in a step of an actor: operator new is
// counted, and Eigen's own allocations stop the program (EIGEN_RUNTIME_NO_MALLOC).
#include "allocations.hpp"
#include "problems.hpp"
#include "trpo_fast/actor.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/fisher/kfac.hpp"
#include "trpo_fast/solvers/conjugate_gradient.hpp"

namespace trpo_fast::tests {
namespace {

const PolicySpec kPolicy{"", {{17, 64, 64, 6}, Activation::tanh, true}, {{Kind::gaussian, 6}}};

TEST(allocations_are_counted) {
  const PaddedMatrix<float> first(1, 1);  // makes the store of memory, too
  int* volatile seen = nullptr;           // by the compiler, which would leave out the pair
  const long count = allocations([&] {
    seen = new int;
    delete seen;
    const PaddedMatrix<float> aligned(1, 1);
  });
  CHECK(count == 2, "allocations", count);
}

TEST_BOTH(products_allocate_nothing) {
  const Problem<Scalar> p(kPolicy, 1000);
  for (const int n_threads : {1, 3}) {
    FisherOperator<Scalar> fisher(*p.distribution, p.linearization(n_threads), 0.1, n_threads);
    const Vector<double> v = Vector<double>::Ones(fisher.size());
    Vector<double> out(fisher.size());
    fisher.multiply(v.data(), out.data());  // starts the threads
    const long count = allocations([&] { fisher.multiply(v.data(), out.data()); });
    CHECK(count == 0, "threads", n_threads, "allocations", count);
  }
}

TEST_BOTH(products_of_convolutions_allocate_nothing) {
  Random random(41);
  const Network<Scalar> network = make_convolutional_network<Scalar>();
  const auto distribution = make_distribution<Scalar>({{Kind::categorical, 3}});
  const Vector<Scalar> theta = random.vector<Scalar>(network.num_params());
  const RowMatrix<Scalar> x = random.matrix<Scalar>(200, kConvolutionalInputs);
  const auto at = std::make_shared<const Linearization<Scalar>>(network, theta.data(), view(x), 2);
  FisherOperator<Scalar> fisher(*distribution, at, 0.1, 2);
  const Vector<double> v = Vector<double>::Ones(fisher.size());
  Vector<double> out(fisher.size());
  fisher.multiply(v.data(), out.data());  // starts the threads
  const long count = allocations([&] { fisher.multiply(v.data(), out.data()); });
  CHECK(count == 0, "allocations", count);
}

// A, which lets nobody allocate from its first product to its last.
class Watched final : public LinearOperator {
 public:
  Watched(LinearOperator& a, Index n_products) : a_(a), n_left_(n_products) {}
  Index size() const override { return a_.size(); }
  void multiply(const double* v, double* out) override {
    if (before_ < 0) before_ = count_of_new();
    a_.multiply(v, out);
    Eigen::internal::set_is_malloc_allowed(--n_left_ == 0);
    count_ = count_of_new() - before_;
  }
  long count() const { return count_; }

 private:
  LinearOperator& a_;
  Index n_left_;
  long before_ = -1;
  long count_ = -1;
};

TEST_BOTH(an_iteration_of_conjugate_gradient_allocates_nothing) {
  const Problem<Scalar> p(kPolicy, 200);
  FisherOperator<Scalar> fisher(*p.distribution, p.linearization(2), 0.1, 2);
  KFACPreconditioner<Scalar> kfac(p.network, *p.distribution, p.theta_view(), view(p.x), view(p.actions), 0.1, 2);
  const Vector<double> b = Vector<double>::Ones(fisher.size());
  Vector<double> out(fisher.size());
  fisher.multiply(b.data(), out.data());  // starts the threads
  for (LinearOperator* preconditioner : {static_cast<LinearOperator*>(nullptr), static_cast<LinearOperator*>(&kfac)}) {
    Watched watched(fisher, 10);
    const CGResult result = conjugate_gradient(watched, {b.data(), b.size()}, 10, 0.0, preconditioner);
    Eigen::internal::set_is_malloc_allowed(true);  // where it ended early, too
    CHECK(result.n_iter == 10 && watched.count() == 0, "products", result.n_iter, "allocations", watched.count());
  }
}

TEST_BOTH(a_step_of_an_actor_allocates_nothing) {
  for (const PolicySpec& policy : policy_specs()) {
    const Problem<Scalar> p(policy, kBlockRows);
    const Vector<double> ones = Vector<double>::Ones(p.x.cols());
    const RowMatrix<double> observations = p.x.template cast<double>();
    const RowMatrix<Scalar> noise = RowMatrix<Scalar>::Zero(kBlockRows, p.actions.cols());
    RowMatrix<Scalar> actions(noise);
    Actor<Scalar> actor(p.network, *p.distribution, Normalizer(ones, ones, 10.0), p.theta.data());
    for (const Rows rows : {Rows{0, 1}, Rows{0, kBlockRows}}) {
      const MatrixView<Scalar> out(actions.data(), rows.size(), actions.cols());
      const long count = allocations([&] {
        actor.act(block(view(observations), rows), block(view(noise), rows), out);
        actor.act(block(view(observations), rows), {nullptr, 0, 0}, out);  // the most probable
      });
      CHECK(count == 0, "policy", policy.name, "rows", rows.size(), "allocations", count);
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
