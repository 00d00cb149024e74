// Images: pixels of planes, networks that read them, and the same bits from stored activations and from those that are
// computed again.
#include <limits>
#include <vector>

#include "allocations.hpp"
#include "problems.hpp"
#include "trpo_fast/actor.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/fisher/kfac.hpp"
#include "trpo_fast/objectives/surrogate.hpp"

namespace trpo_fast::tests {
namespace {

// Planes and the numbers of those of each row; about a fifth of them are zero planes
struct Planes {
  Index height, width, channels;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> index;

  Planes(Index height_, Index width_, Index channels_, Index n_rows, Random& random)
      : height(height_), width(width_), channels(channels_) {
    constexpr Index n_planes = 4;
    for (Index i = 0; i < n_planes * height * width; ++i)
      pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
    for (Index i = 0; i < n_rows * channels; ++i) {
      index.push_back(static_cast<std::int32_t>(random.below(n_planes + 1)) - 1);
    }
  }

  Images view() const {
    return {pixels.data(), height, width, index.data(), static_cast<Index>(index.size()) / channels, channels};
  }
  int pixel(Index row, Index p, Index c) const {
    const std::int32_t plane = index[std::size_t(row * channels + c)];
    return plane < 0 ? 0 : pixels[std::size_t(plane * height * width + p)];
  }
};

TEST_BOTH(pixels_of_planes_are_gathered) {
  Random random(51);
  const Scalar scale = Scalar(1.0 / 255.0), untouched = Scalar(-7);
  for (const Index channels : {1, 2, 3, 4, 5, 12}) {
    for (const auto& [height, width] : {std::pair{1, 1}, {7, 9}, {8, 8}, {13, 5}, {11, 13}}) {
      const Planes planes(height, width, channels, 5, random);
      const Index size = height * width * channels, stride = size + 3;
      std::vector<Scalar> to(std::size_t(3 * stride), untouched);
      gather_rows(planes.view(), 1, 3, scale, to.data(), stride);
      for (Index i = 0; i < 3 * stride; ++i) {
        const Index row = i / stride, j = i % stride;
        const Scalar expected =
            j < size ? Scalar(planes.pixel(1 + row, j / channels, j % channels)) * scale : untouched;
        CHECK(to[std::size_t(i)] == expected, "channels", channels, "width", width, "row", row, "element", j);
      }
    }
  }
}

// A policy that reads an image and a vector, and a batch
template <class Scalar>
struct ImageProblem {
  Random random{52};
  Network<Scalar> network = make_image_network<Scalar>();
  Factors factors{{Kind::categorical, 5}};
  std::shared_ptr<const Distribution<Scalar>> distribution = make_distribution<Scalar>(factors);
  Vector<Scalar> theta = random.vector<Scalar>(network.num_params(), 0.4);
  Planes planes;
  RowMatrix<Scalar> x, actions;
  Vector<double> advantages;

  explicit ImageProblem(Index n_rows)
      : planes(7, 6, 3, n_rows, random),
        x(random.matrix<Scalar>(n_rows, 4)),
        actions(random_actions<Scalar>(factors, n_rows, random)),
        advantages(random.vector<double>(n_rows)) {}

  // Nothing reads the second image.
  std::vector<Images> images() const { return {planes.view(), {nullptr, 2, 3, nullptr, x.rows(), 2}}; }
  Inputs<Scalar> inputs(std::size_t activation_budget = kActivationBudget) const {
    Inputs<Scalar> inputs(view(x), images(), nullptr);
    inputs.activation_budget = activation_budget;
    return inputs;
  }
  std::shared_ptr<const Linearization<Scalar>> linearization(std::size_t activation_budget, int n_threads) const {
    return std::make_shared<const Linearization<Scalar>>(network, theta.data(), inputs(activation_budget), n_threads);
  }
  RowMatrix<Scalar> evaluated(const Vector<Scalar>& at) const {
    RowMatrix<Scalar> phi(x.rows(), network.output_size());
    forward<Scalar>(network, at.data(), inputs(), MatrixView<Scalar>(phi.data(), phi.rows(), phi.cols()), 2);
    return phi;
  }

  // Everything that is computed from the batch: products, gradient, values at another theta
  Vector<double> results(std::size_t activation_budget, int n_threads) const {
    const Index size = theta.size();
    const Vector<double> v = Vector<double>::LinSpaced(size, -1.0, 1.0);
    const Inputs<Scalar> rows = inputs(activation_budget);
    const SurrogateObjective<Scalar> objective(network, *distribution, {theta.data(), size}, rows, view(actions),
                                               {advantages.data(), x.rows()}, 0.1, n_threads);
    FisherOperator<Scalar> fisher(*distribution, objective.linearization(), 0.1, n_threads);
    KFACPreconditioner<Scalar> kfac(network, *distribution, {theta.data(), size}, rows, view(actions), 0.1, n_threads);
    Vector<double> all(3 * size + 4);
    objective.gradient(all.data());
    fisher.multiply(v.data(), all.data() + size);
    kfac.multiply(v.data(), all.data() + 2 * size);
    const Vector<Scalar> other = Scalar(1.1) * theta;
    const ObjectiveValue value = objective.evaluate(other.data());
    all.tail(4) << value.surrogate, value.mean_kl, value.max_kl, value.entropy;
    return all;
  }
};

// Without memory for activations they are computed again, on any number of threads: the same bits.
TEST_BOTH(activations_that_are_computed_again_have_the_same_bits) {
  for (const Index n_rows : {Index(1), Index(65), Index(700)}) {
    const ImageProblem<Scalar> p(n_rows);
    const Vector<double> expected = p.results(kActivationBudget, 1);
    CHECK(expected.allFinite(), "rows", n_rows);
    for (const std::size_t budget : {std::size_t(0), kActivationBudget}) {
      for (const int n_threads : {1, 2, 5}) {
        const Vector<double> got = p.results(budget, n_threads);
        for (Index i = 0; i < got.size(); ++i) {
          CHECK(same_bits(got[i], expected[i]), "rows", n_rows, "budget", budget, "threads", n_threads, "i", i);
        }
      }
    }
  }
}

// What the budget counts: (80 + 80 + 9 + 6 + 7 + 5) outputs and (80 + 7) that the silu layers store, in cache lines
TEST_BOTH(the_activation_budget_is_counted_in_bytes) {
  const ImageProblem<Scalar> p(130);
  Index columns = 0;
  for (const Index size : {80, 80, 80, 9, 6, 7, 7, 5}) columns += padded<Scalar>(size);
  const std::size_t needed = static_cast<std::size_t>(130 * columns) * sizeof(Scalar);
  for (const std::size_t budget : {needed - 1, needed}) {
    CHECK(p.linearization(budget, 1)->stores_all() == (budget == needed), "budget", budget);
  }
}

TEST(derivatives_of_a_network_of_images_with_forks) {
  for (const std::size_t budget : {std::size_t(0), kActivationBudget}) {
    ImageProblem<double> p(70);
    const auto at = p.linearization(budget, 1);
    typename Linearization<double>::Workspace workspace(*at);
    const Vector<double> v = p.random.vector<double>(p.theta.size());
    const RowMatrix<double> u = p.random.matrix<double>(70, 5);
    Vector<double> v_packed = Vector<double>::Zero(p.network.packed_size()), bar_packed(v_packed), bar(p.theta.size());
    p.network.pack(v.data(), v_packed.data());
    RowMatrix<double> dphi(70, 5);
    PaddedMatrix<double> u_rows(view(u));
    for_each_piece({0, 70}, [&](Rows rows) {
      const auto block = at->load(rows, workspace);
      dphi.middleRows(rows.begin, rows.size()) = block.jvp(v_packed.data());
      block.vjp(u_rows.panel(rows.begin, rows.size()), bar_packed.data());
    });
    p.network.unpack(bar_packed.data(), bar.data());
    const double h = 1e-6;
    const RowMatrix<double> difference = (p.evaluated(p.theta + h * v) - p.evaluated(p.theta - h * v)) / (2 * h);
    CHECK((dphi - difference).norm() <= 1e-7 * dphi.norm(), "error", (dphi - difference).norm());
    const double left = u.cwiseProduct(dphi).sum(), right = bar.dot(v);  // <u, J v> = <J^T u, v>
    CHECK(std::abs(left - right) <= 1e-13 * u.norm() * dphi.norm(), "left", left, "right", right);
    // Node 4, 12 -> 3, does not lead to the output.
    const Index before = 5 * 19 + 9 * 81 + 6 * 10;
    CHECK((bar.segment(before, 39).array() == 0).all() && (bar.head(before).array() != 0).any(), "P", bar.size());
  }
}

// Vector and image move the output, each row its own.
TEST_BOTH(every_input_reaches_the_output) {
  ImageProblem<Scalar> p(9);
  const RowMatrix<Scalar> before = p.evaluated(p.theta);
  p.x(3, 2) += Scalar(0.5);
  p.planes.index[std::size_t(5 * 3 + 1)] = (p.planes.index[std::size_t(5 * 3 + 1)] + 2) % 4;
  const RowMatrix<Scalar> after = p.evaluated(p.theta);
  for (Index n = 0; n < 9; ++n) CHECK((before.row(n) == after.row(n)) == (n != 3 && n != 5), "row", n);
}

TEST_BOTH(products_and_acting_on_images_allocate_nothing) {
  const ImageProblem<Scalar> p(200);
  for (const std::size_t budget : {std::size_t(0), kActivationBudget}) {
    FisherOperator<Scalar> fisher(*p.distribution, p.linearization(budget, 2), 0.1, 2);
    const Vector<double> v = Vector<double>::Ones(fisher.size());
    Vector<double> out(fisher.size());
    fisher.multiply(v.data(), out.data());  // starts the threads
    CHECK(allocations([&] { fisher.multiply(v.data(), out.data()); }) == 0, "budget", budget);
  }
  const Vector<double> ones = Vector<double>::Ones(4);
  Actor<Scalar> actor(p.network, *p.distribution, Normalizer(Vector<double>::Zero(4), ones, 10.0), p.theta.data());
  const RowMatrix<double> observations = p.x.template cast<double>();
  const std::vector<Images> images = p.images();
  RowMatrix<Scalar> actions(200, 1);
  const MatrixView<Scalar> chosen(actions.data(), 200, 1);
  CHECK(allocations([&] { actor.act(view(observations), images.data(), {nullptr, 0, 0}, chosen); }) == 0, "rows", 200);
  const RowMatrix<Scalar> phi = p.evaluated(p.theta);
  for (Index n = 0; n < 200; ++n) {
    Index most;
    phi.row(n).maxCoeff(&most);
    CHECK(actions(n, 0) == Scalar(most), "row", n);
  }
}

}  // namespace
}  // namespace trpo_fast::tests
