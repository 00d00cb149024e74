// Recurrent layers: derivatives against loops over dual numbers, and the same bits however sequences are walked.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "allocations.hpp"
#include "problems.hpp"
#include "trpo_fast/actor.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/network/evaluator.hpp"

namespace trpo_fast::tests {
namespace {

// A dense layer, so that a tangent and a cotangent of x pass, then a GRU
struct GruSizes {
  Index inputs, features, units;
};
constexpr GruSizes kGruSizes[] = {{2, 1, 1}, {3, 4, 5}, {1, 3, 8}, {2, 5, 16}, {3, 2, 19}};

// Lanes in blocks: row t B + b of a block of B lanes is step t of its lane b.
struct LaneShape {
  Index num_lanes, lanes, length;
  Index num_rows() const { return num_lanes * length; }
  Index row(Index lane, Index t) const {
    const Index first = lane / lanes * lanes, in_block = (std::min)(lanes, num_lanes - first);
    return first * length + t * in_block + lane - first;
  }
};
constexpr LaneShape kLaneShapes[] = {{1, 1, 9}, {5, 2, 4}, {3, 16, 5}, {2, 1, 70}, {70, 16, 2}};

template <class Scalar>
struct RecurrentProblem {
  LaneShape shape;
  GruSizes sizes;
  Network<Scalar> network;
  Vector<Scalar> theta;
  RowMatrix<Scalar> x, states;
  std::vector<std::uint8_t> starts;

  RecurrentProblem(const LaneShape& shape_, const GruSizes& sizes_, Random& random)
      : shape(shape_),
        sizes(sizes_),
        network({make_dense<Scalar>(sizes.inputs, sizes.features, Activation::tanh),
                 make_gru<Scalar>(sizes.features, sizes.units)}),
        theta(random.vector<Scalar>(network.num_params(), 0.7)),
        x(random.matrix<Scalar>(shape.num_rows(), sizes.inputs)),
        states(random.matrix<Scalar>(shape.num_lanes, sizes.units)) {
    for (Index n = 0; n < shape.num_rows(); ++n) starts.push_back(random.below(5) == 0 ? 1 : 0);
  }

  Inputs<Scalar> inputs() const {
    const Sequences<Scalar> sequences{shape.lanes, shape.length, starts.data(), states.data(), sizes.units};
    return {view(x), sequences};
  }

  // h of all rows, one lane after the other
  template <class T>
  std::vector<std::vector<T>> reference(const std::vector<T>& parameters) const {
    const NetworkSpec dense{{sizes.inputs, sizes.features}, Activation::identity, false};
    const std::vector<T> first(parameters.begin(), parameters.begin() + std::ptrdiff_t(dense.num_params()));
    std::vector<std::vector<T>> outputs(std::size_t(shape.num_rows()));
    for (Index lane = 0; lane < shape.num_lanes; ++lane) {
      std::vector<T> h = constants<T>(states.row(lane));
      for (Index t = 0; t < shape.length; ++t) {
        const Index row = shape.row(lane, t);
        if (starts[std::size_t(row)] != 0) h.assign(h.size(), T(0));
        std::vector<T> features = reference_forward(dense, first, constants<T>(x.row(row)));
        for (T& feature : features) feature = reference_activation(Activation::tanh, feature);
        h = next(parameters.data() + first.size(), features, h);
        outputs[std::size_t(row)] = h;
      }
    }
    return outputs;
  }

 private:
  template <class T, class Row>
  static std::vector<T> constants(const Row& row) {
    std::vector<T> values;
    for (Index i = 0; i < row.size(); ++i) values.push_back(T(row[i]));
    return values;
  }

  template <class T>
  static T sigmoid(T x) {
    using std::exp;
    return T(1) / (T(1) + exp(T(0) - x));
  }

  template <class T>
  std::vector<T> next(const T* w, const std::vector<T>& x_row, const std::vector<T>& h) const {
    using std::tanh;
    const Index in = sizes.features, d = sizes.units;
    const T *u = w + 3 * d * in, *b = u + 3 * d * d, *c = b + 3 * d;
    const auto dot = [](const T* a, const std::vector<T>& values) {
      T sum(0);
      for (std::size_t k = 0; k < values.size(); ++k) sum = sum + a[k] * values[k];
      return sum;
    };
    std::vector<T> result;
    for (Index j = 0; j < d; ++j) {
      const auto from_x = [&](Index gate) { return dot(w + (gate * d + j) * in, x_row) + b[gate * d + j]; };
      const auto from_h = [&](Index gate) { return dot(u + (gate * d + j) * d, h); };
      const T r = sigmoid(from_x(0) + from_h(0)), z = sigmoid(from_x(1) + from_h(1));
      const T n = tanh(from_x(2) + r * (from_h(2) + c[j]));
      result.push_back((T(1) - z) * n + z * h[std::size_t(j)]);
    }
    return result;
  }
};

TEST_BOTH(recurrence_agrees_with_loops_over_dual_numbers) {
  using Real = Wide<Scalar>;
  const double bound = 100.0 * double(std::numeric_limits<Scalar>::epsilon());
  Random random(31);
  for (std::size_t i = 0; i < std::size(kGruSizes); ++i) {
    const RecurrentProblem<Scalar> p(kLaneShapes[i % 3], kGruSizes[i], random);
    const Linearization<Scalar> at(p.network, p.theta.data(), p.inputs(), 1);
    typename Linearization<Scalar>::Workspace workspace(at);
    const Index n = p.shape.num_rows(), d = p.sizes.units, size = p.theta.size();
    const Vector<Scalar> v = random.vector<Scalar>(size);
    const RowMatrix<Scalar> u = random.matrix<Scalar>(n, d);
    Vector<Scalar> v_packed = Vector<Scalar>::Zero(p.network.packed_size()), bar_packed = v_packed, bar(size);
    p.network.pack(v.data(), v_packed.data());
    RowMatrix<Scalar> dy(n, d);
    PaddedMatrix<Scalar> u_rows(view(u));
    for (Index slot = 0; slot < at.blocks().num_slots(); ++slot) {
      at.blocks().for_each_block(at.blocks().slot(slot), [&](Rows rows) {
        const auto block = at.load(rows, workspace);
        dy.middleRows(rows.begin, rows.size()) = block.jvp(v_packed.data());
        block.vjp(u_rows.panel(rows.begin, rows.size()), bar_packed.data());
      });
    }
    p.network.unpack(bar_packed.data(), bar.data());

    std::vector<Dual<Real>> parameters;
    for (const Scalar value : p.theta) parameters.emplace_back(Real(value));
    std::vector<Real> y, expected_dy(std::size_t(n * d), Real(0)), expected_bar;
    for (Index k = 0; k < size; ++k) {
      parameters[std::size_t(k)].slope = 1;
      const auto outputs = p.reference(parameters);
      parameters[std::size_t(k)].slope = 0;
      Real sum(0);
      for (Index row = 0; row < n; ++row) {
        for (Index j = 0; j < d; ++j) {
          const Dual<Real>& h = outputs[std::size_t(row)][std::size_t(j)];
          if (k == 0) y.push_back(h.value);
          expected_dy[std::size_t(row * d + j)] += h.slope * Real(v[k]);
          sum += h.slope * Real(u(row, j));
        }
      }
      expected_bar.push_back(sum);
    }
    const RowMatrix<Scalar> got = at.output({0, n});
    using Flat = Eigen::Map<const Vector<Scalar>>;
    CHECK(is_close(Flat(got.data(), n * d), y, bound), "units", d);
    CHECK(is_close(Flat(dy.data(), n * d), expected_dy, bound), "units", d);
    CHECK(is_close(bar, expected_bar, bound), "units", d);
  }
}

// Outputs (N, units) of the whole, and last states
template <class Scalar>
std::pair<RowMatrix<Scalar>, RowMatrix<Scalar>> sequence_results(const RecurrentProblem<Scalar>& p, int n_threads) {
  RowMatrix<Scalar> y(p.shape.num_rows(), p.sizes.units), last(p.states);
  forward<Scalar>(p.network, p.theta.data(), p.inputs(), MatrixView<Scalar>(y.data(), y.rows(), y.cols()), n_threads,
                  last.data());
  return {y, last};
}

TEST_BOTH(steps_have_the_bits_of_the_sequence) {
  Random random(32);
  for (const LaneShape& shape : kLaneShapes) {
    for (const GruSizes& sizes : kGruSizes) {
      const RecurrentProblem<Scalar> p(shape, sizes, random);
      const auto [y, last] = sequence_results(p, 3);
      Evaluator<Scalar> evaluator(p.network);
      evaluator.set_theta(p.theta.data());
      typename Evaluator<Scalar>::Workspace workspace(p.network, 1);
      for (Index lane = 0; lane < shape.num_lanes; ++lane) {
        RowMatrix<Scalar> state = p.states.row(lane);
        for (Index t = 0; t < shape.length; ++t) {
          const Index row = shape.row(lane, t);
          if (p.starts[std::size_t(row)] != 0) state.setZero();
          const SequenceBlock<Scalar> step{1, sizes.units, nullptr, state.data(), state.data()};
          const ConstPanel<Scalar> x(p.x.data() + row * p.x.cols(), 1, p.x.cols(), Eigen::OuterStride<>(p.x.cols()));
          const RowMatrix<Scalar> h = evaluator.forward({x, nullptr, 0, step}, workspace);
          CHECK(h == y.row(row) && h == state, "units", sizes.units, "lane", lane, "t", t);
        }
        CHECK(state == last.row(lane), "units", sizes.units, "lane", lane);
      }
    }
  }
}

TEST_BOTH(sequences_may_be_computed_again_and_by_any_number_of_threads) {
  Random random(33);
  for (const LaneShape& shape : kLaneShapes) {
    const RecurrentProblem<Scalar> p(shape, kGruSizes[1], random);
    const auto distribution = make_distribution<Scalar>({{Kind::categorical, p.sizes.units}});
    const Vector<double> v = random.vector<double>(p.theta.size());
    const auto product = [&](std::size_t budget, int n_threads) {
      Inputs<Scalar> inputs = p.inputs();
      inputs.activation_budget = budget;
      FisherOperator<Scalar> fisher(
          *distribution, std::make_shared<const Linearization<Scalar>>(p.network, p.theta.data(), inputs, n_threads),
          0.1, n_threads);
      Vector<double> out(v.size());
      fisher.multiply(v.data(), out.data());
      return out;
    };
    const Vector<double> expected = product(kActivationBudget, 1);
    CHECK(expected == product(0, 1) && expected == product(0, 3), "lanes", shape.lanes, "length", shape.length);
  }
}

TEST_BOTH(a_step_of_an_actor_with_a_state_allocates_nothing) {
  Random random(34);
  const RecurrentProblem<Scalar> p({70, 16, 1}, kGruSizes[1], random);
  const auto distribution = make_distribution<Scalar>({{Kind::bernoulli, p.sizes.units}});
  const Vector<double> ones = Vector<double>::Ones(p.sizes.inputs);
  Actor<Scalar> actor(p.network, *distribution, Normalizer(ones, ones, 10.0), p.theta.data());
  const RowMatrix<double> observations = p.x.template cast<double>();
  RowMatrix<Scalar> states = p.states, actions(p.x.rows(), p.sizes.units);
  const MatrixView<Scalar> out(actions.data(), actions.rows(), actions.cols());
  const long count = allocations([&] { actor.act(view(observations), nullptr, {nullptr, 0, 0}, out, states.data()); });
  CHECK(count == 0 && states != p.states, "allocations", count);
}

}  // namespace
}  // namespace trpo_fast::tests
