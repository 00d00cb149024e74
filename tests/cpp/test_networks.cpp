// Networks: forward, jvp and vjp against the oracle, and the same bits of a row wherever it stands.
#include <algorithm>
#include <limits>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/network/clamp_log_std.hpp"
#include "trpo_fast/network/evaluator.hpp"
#include "trpo_fast/network/linearization.hpp"

namespace trpo_fast::tests {
namespace {

template <class Scalar>
double tolerance() {
  return 40.0 * double(std::numeric_limits<Scalar>::epsilon());
}

template <class Scalar>
std::vector<Scalar> row_of(ConstPanel<Scalar> m, Index row) {
  const Scalar* begin = m.data() + row * m.outerStride();
  return {begin, begin + m.cols()};
}

template <class Scalar>
bool same_rows(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits<Scalar>);
}

TEST_BOTH(forward_jvp_and_vjp_agree_with_the_oracle) {
  using Real = Wide<Scalar>;
  for (const PolicySpec& policy : policy_specs()) {
    Problem<Scalar> p(policy, kBatchRows);
    const Linearization<Scalar> at(p.network, p.theta.data(), view(p.x), 1);
    typename Linearization<Scalar>::Workspace workspace(at);
    const Vector<Scalar> v = p.random.template vector<Scalar>(p.theta.size());
    Vector<Scalar> v_packed = Vector<Scalar>::Zero(p.network.packed_size());
    p.network.pack(v.data(), v_packed.data());
    PaddedMatrix<Scalar> phi_bar(kBlockRows, p.network.output_size());
    const std::vector<Real> theta = widened<Real>(p.theta);
    for_each_piece({0, kBatchRows}, [&](Rows rows) {
      Panel<Scalar> u = phi_bar.panel(0, rows.size());
      u = p.random.template matrix<Scalar>(rows.size(), u.cols());
      const auto block = at.load(rows, workspace);
      const RowMatrix<Scalar> u_before = u, dphi = block.jvp(v_packed.data());
      Vector<Scalar> bar_packed = Vector<Scalar>::Zero(p.network.packed_size());
      Vector<Real> theta_bar = Vector<Real>::Zero(p.theta.size());
      block.vjp(u, bar_packed.data());
      Vector<Scalar> bar(p.theta.size());
      p.network.unpack(bar_packed.data(), bar.data());
      for (Index i = 0; i < rows.size(); ++i) {
        const std::vector<Real> x = widened<Real>(p.x.row(rows.begin + i));
        const auto jacobian = reference_jacobian(p.spec, theta, x);
        std::vector<Real> expected(static_cast<std::size_t>(u.cols()), Real(0));
        for (std::size_t k = 0; k < jacobian.size(); ++k) {
          for (std::size_t j = 0; j < expected.size(); ++j) {
            expected[j] += jacobian[k][j] * Real(v[Index(k)]);
            theta_bar[Index(k)] += jacobian[k][j] * Real(u_before(i, Index(j)));
          }
        }
        const auto phi = reference_forward(p.spec, theta, x);
        CHECK(is_close(row_of(at.output(rows), i), phi, tolerance<Scalar>()), "net", policy.name, "row", i);
        CHECK(is_close(dphi.row(i), expected, tolerance<Scalar>()), "net", policy.name, "row", i);
      }
      CHECK(is_close(bar, theta_bar, tolerance<Scalar>()), "net", policy.name, "block at", rows.begin);
    });
  }
}

// A network at theta and rows x, with jvp and vjp of whole vectors
template <class Scalar>
struct Linearized {
  const Network<Scalar>& network;
  Linearization<Scalar> at;
  typename Linearization<Scalar>::Workspace workspace;

  Linearized(const Network<Scalar>& network_, const Vector<Scalar>& theta, const RowMatrix<Scalar>& x)
      : network(network_), at(network, theta.data(), view(x), 1), workspace(at) {}

  RowMatrix<Scalar> jvp(const Vector<Scalar>& v) {
    Vector<Scalar> packed = Vector<Scalar>::Zero(network.packed_size());
    network.pack(v.data(), packed.data());
    return at.load({0, at.num_rows()}, workspace).jvp(packed.data());
  }
  Vector<Scalar> vjp(const RowMatrix<Scalar>& u) {
    PaddedMatrix<Scalar> phi_bar(view(u));
    Vector<Scalar> packed = Vector<Scalar>::Zero(network.packed_size()), bar(network.num_params());
    at.load({0, at.num_rows()}, workspace).vjp(phi_bar.panel(0, u.rows()), packed.data());
    network.unpack(packed.data(), bar.data());
    return bar;
  }
};

template <class Scalar>
RowMatrix<Scalar> evaluated(const Network<Scalar>& network, const Vector<Scalar>& theta, const RowMatrix<Scalar>& x) {
  RowMatrix<Scalar> phi(x.rows(), network.output_size());
  forward<Scalar>(network, theta.data(), view(x), MatrixView<Scalar>(phi.data(), phi.rows(), phi.cols()), 1);
  return phi;
}

// What is cut out of theta: the parameters of nodes that lead to the output
template <class Scalar>
Vector<Scalar> on_the_path(const Network<Scalar>& network, const Vector<Scalar>& theta) {
  std::vector<Scalar> kept;
  const Scalar* from = theta.data();
  for (Index j = 0; j < network.num_nodes(); from += network.layer(j++).num_params()) {
    if (kForkedLeadsToOutput[j]) kept.insert(kept.end(), from, from + network.layer(j).num_params());
  }
  return Eigen::Map<const Vector<Scalar>>(kept.data(), Index(kept.size()));
}

TEST_BOTH(a_fork_has_the_bits_of_the_chain_that_leads_to_the_output) {
  Random random(21);
  const Network<Scalar> fork = make_forked_network<Scalar>();
  const Network<Scalar> chain = make_network<Scalar>({{5, 7, 2}, Activation::tanh, true});
  const Vector<Scalar> theta = random.vector<Scalar>(fork.num_params(), 0.5);
  const Vector<Scalar> v = random.vector<Scalar>(fork.num_params());
  const RowMatrix<Scalar> x = random.matrix<Scalar>(kBlockRows, 5), u = random.matrix<Scalar>(kBlockRows, 4);
  const Vector<Scalar> chain_theta = on_the_path(fork, theta);
  CHECK(chain_theta.size() == chain.num_params() && fork.num_nodes() == kForkedNodes, "P", chain_theta.size());
  for (Index j = 0; j < kForkedNodes; ++j) CHECK(fork.leads_to_output(j) == kForkedLeadsToOutput[j], "node", j);
  Linearized<Scalar> at(fork, theta, x), chain_at(chain, chain_theta, x);
  CHECK(evaluated(fork, theta, x) == evaluated(chain, chain_theta, x), "forward", 0);
  CHECK(at.jvp(v) == chain_at.jvp(on_the_path(fork, v)), "jvp", 0);
  const Vector<Scalar> bar = at.vjp(u), chain_bar = chain_at.vjp(u);
  CHECK(on_the_path(fork, bar) == chain_bar, "vjp", 0);
  CHECK((bar.array() != 0).count() == (chain_bar.array() != 0).count(), "nodes off the path", 0);
}

TEST(derivatives_of_a_fork) {
  Random random(22);
  const Network<double> fork = make_forked_network<double>();
  const Vector<double> theta = random.vector<double>(fork.num_params(), 0.5);
  const Vector<double> v = random.vector<double>(fork.num_params());
  const RowMatrix<double> x = random.matrix<double>(9, 5), u = random.matrix<double>(9, 4);
  Linearized<double> at(fork, theta, x);
  const RowMatrix<double> dphi = at.jvp(v);
  const double h = 1e-6;
  const RowMatrix<double> difference =
      (evaluated<double>(fork, theta + h * v, x) - evaluated<double>(fork, theta - h * v, x)) / (2 * h);
  CHECK((dphi - difference).norm() <= 1e-8 * dphi.norm(), "error", (dphi - difference).norm());
  const double left = u.cwiseProduct(dphi).sum(), right = at.vjp(u).dot(v);  // <u, J v> = <J^T u, v>
  CHECK(std::abs(left - right) <= 1e-13 * u.norm() * dphi.norm(), "left", left, "right", right);
}

// The message of an error that make() throws
template <class Function>
std::string refusal(Function&& make) {
  try {
    make();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

TEST(nodes_are_checked) {
  const auto network = [](Index first, Index second) {
    const auto layer = [](Index inputs) { return std::make_shared<ClampLogStd<float>>(inputs / 2); };
    return [=] { Network<float>(std::vector<Node<float>>{{layer(4), {first}}, {layer(2), {second}}}); };
  };
  const std::string order = "layers: expected layer ", size = "layers: expected a layer with input size 4, got 2";
  CHECK(refusal(network(1, 1)) == order + "0 to read a buffer in 0..0, got 1", "got", refusal(network(1, 1)));
  CHECK(refusal(network(0, -1)) == order + "1 to read a buffer in 0..1, got -1", "got", refusal(network(0, -1)));
  CHECK(refusal(network(0, 2)) == order + "1 to read a buffer in 0..1, got 2", "got", refusal(network(0, 2)));
  CHECK(refusal(network(0, 0)) == size, "got", refusal(network(0, 0)));
  CHECK(refusal(network(0, 1)) == size, "got", refusal(network(0, 1)));
}

// Beyond the clamp of log_std its derivative is 0, whether it is a parameter of its own or the bias of an output.
template <class Scalar>
void check_clamp(const NetworkSpec& spec) {
  const Network<Scalar> network = make_network<Scalar>(spec);
  Vector<Scalar> theta = Vector<Scalar>::Zero(network.num_params());
  theta.tail(3) << Scalar(-25), Scalar(1), Scalar(7);
  const RowMatrix<Scalar> x = RowMatrix<Scalar>::Ones(5, 2);
  const Linearization<Scalar> at(network, theta.data(), view(x), 1);
  typename Linearization<Scalar>::Workspace workspace(at);
  Vector<Scalar> v = Vector<Scalar>::Zero(network.packed_size());
  Vector<Scalar> direction = Vector<Scalar>::Zero(theta.size());
  direction.tail(3).setOnes();
  network.pack(direction.data(), v.data());
  const auto block = at.load({0, 5}, workspace);
  const RowMatrix<Scalar> dphi = block.jvp(v.data());
  PaddedMatrix<Scalar> phi_bar(5, 6);
  phi_bar.panel(0, 5).setOnes();
  Vector<Scalar> packed_bar = Vector<Scalar>::Zero(network.packed_size()), bar(theta.size());
  block.vjp(phi_bar.panel(0, 5), packed_bar.data());
  network.unpack(packed_bar.data(), bar.data());
  const double expected[] = {-20.0, 1.0, 2.0}, slope[] = {0.0, 1.0, 0.0};
  for (Index j = 0; j < 3; ++j) {
    for (Index i = 0; i < 5; ++i) {
      CHECK(at.output({0, 5})(i, 3 + j) == Scalar(expected[j]), "row", i, "j", j);
      CHECK(dphi(i, 3 + j) == Scalar(slope[j]), "row", i, "j", j);
    }
    CHECK(bar[bar.size() - 3 + j] == Scalar(5 * slope[j]), "j", j);
  }
}

TEST_BOTH(log_std_is_clamped) {
  check_clamp<Scalar>({{2, 3}, Activation::identity, true});
  check_clamp<Scalar>({{2, 6}, Activation::identity, false, true});
}

// A batch of the caller's has no padding: AddressSanitizer watches its end.
TEST_BOTH(inputs_need_no_padding) {
  Random random(12);
  for (Index size = 1; size <= 20; ++size) {
    for (const NetworkSpec& spec :
         {NetworkSpec{{size}, Activation::identity, true}, NetworkSpec{{size, 3}, Activation::identity, false}}) {
      const Network<Scalar> network = make_network<Scalar>(spec);
      const Vector<Scalar> theta = random.vector<Scalar>(network.num_params(), 0.5);
      const RowMatrix<Scalar> x = random.matrix<Scalar>(1, size);
      RowMatrix<Scalar> y(1, network.output_size());
      forward<Scalar>(network, theta.data(), view(x), MatrixView<Scalar>(y.data(), 1, y.cols()), 1);
      const auto expected = reference_forward(spec, widened<Scalar>(theta), widened<Scalar>(x.row(0)));
      CHECK(is_close(y.row(0), expected, tolerance<Scalar>()), "size", size, "log_std", spec.log_std);
    }
  }
}

TEST_BOTH(a_row_has_the_same_bits_in_every_block) {
  for (const Activation activation : {Activation::tanh, Activation::relu, Activation::elu, Activation::silu}) {
    for (const std::vector<Index>& sizes : {std::vector<Index>{17, 64, 64, 6}, {3, 13, 37, 2}, {1, 1, 1}}) {
      const PolicySpec policy{"", {sizes, activation, true}, {{Kind::gaussian, sizes.back()}}};
      Problem<Scalar> p(policy, kBlockRows);
      const Linearization<Scalar> at(p.network, p.theta.data(), view(p.x), 1);
      typename Linearization<Scalar>::Workspace workspace(at);
      Vector<Scalar> v = Vector<Scalar>::Zero(p.network.packed_size());
      p.network.pack(p.theta.data(), v.data());
      const Rows all{0, kBlockRows};
      const ConstPanel<Scalar> phi = at.output(all);
      const RowMatrix<Scalar> dphi = at.load(all, workspace).jvp(v.data());

      Evaluator<Scalar> evaluator(p.network);
      evaluator.set_theta(p.theta.data());
      typename Evaluator<Scalar>::Workspace outputs(p.network, kBlockRows);
      for (Index count = 1; count <= 13; ++count) {
        for (Index begin = 0; begin + count <= kBlockRows; begin += count) {
          const Rows rows{begin, begin + count};
          const ConstPanel<Scalar> y = evaluator.forward(p.inputs().block(rows), outputs);
          const ConstPanel<Scalar> dy = view(at.load(rows, workspace).jvp(v.data()));
          for (Index i = 0; i < count; ++i) {
            CHECK(same_rows(row_of(y, i), row_of(phi, begin + i)), "rows", count, "row", begin + i);
            CHECK(same_rows(row_of(dy, i), row_of(panel(view(dphi)), begin + i)), "rows", count, "row", begin + i);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
