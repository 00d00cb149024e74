// No memory is allocated in products, in an iteration of conjugate gradient, nor in a forward pass: operator new is
// counted, and Eigen's own allocations stop the program (EIGEN_RUNTIME_NO_MALLOC).
#include "counted_new.hpp"
#include "problems.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/network/evaluator.hpp"
#include "trpo_fast/solvers/conjugate_gradient.hpp"

namespace trpo_fast::tests {
namespace {

// Allocations of f()
template <class Function>
long allocations(Function&& f) {
  const long before = count_of_new();
  Eigen::internal::set_is_malloc_allowed(false);
  f();
  Eigen::internal::set_is_malloc_allowed(true);
  return count_of_new() - before;
}

const PolicySpec kPolicy{"", {{17, 64, 64, 6}, Activation::tanh, true}, {{Kind::gaussian, 6}}};

TEST(allocations_are_counted) {
  int* volatile seen = nullptr;  // by the compiler, which would leave out the pair
  const long count = allocations([&] {
    seen = new int;
    delete seen;
  });
  CHECK(count == 1, "allocations", count);
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
  const Vector<double> b = Vector<double>::Ones(fisher.size());
  Vector<double> out(fisher.size());
  fisher.multiply(b.data(), out.data());  // starts the threads
  Watched watched(fisher, 10);
  const CGResult result = conjugate_gradient(watched, {b.data(), b.size()}, 10, 0.0);
  Eigen::internal::set_is_malloc_allowed(true);  // where it ended early, too
  CHECK(result.n_iter == 10 && watched.count() == 0, "allocations", watched.count());
}

TEST_BOTH(a_forward_pass_allocates_nothing) {
  const Problem<Scalar> p(kPolicy, kBlockRows);
  Evaluator<Scalar> evaluator(p.network);
  typename Evaluator<Scalar>::Workspace workspace(p.network, kBlockRows);
  for (const Index rows : {Index(1), kBlockRows}) {
    const long count = allocations([&] {
      evaluator.set_theta(p.theta.data());
      evaluator.forward(panel(block(view(p.x), {0, rows})), workspace);
    });
    CHECK(count == 0, "rows", rows, "allocations", count);
  }
}

}  // namespace
}  // namespace trpo_fast::tests
