// Convolutions: every kind of shape against loops over patches, to the last bit, and what follows from their structure.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/network/columns.hpp"
#include "trpo_fast/network/conv2d.hpp"
#include "trpo_fast/network/evaluator.hpp"
#include "trpo_fast/network/flatten.hpp"

namespace trpo_fast::tests {
namespace {

// height, width, channels, filters, kernel, stride, padding: strides that divide and do not, beyond the kernel, kernels
// that cover the image, borders that whole windows lie in, narrow packets, long rows.
const Conv2dShape kShapes[] = {
    {5, 4, 1, 1, 2, 3, 1, 0},    {7, 6, 3, 4, 3, 3, 2, 0},   {9, 8, 4, 5, 2, 2, 3, 0},   {6, 7, 5, 16, 3, 2, 1, 1},
    {4, 5, 2, 20, 4, 5, 1, 0},   {8, 9, 3, 8, 4, 4, 2, 1},   {5, 6, 16, 32, 3, 3, 1, 2}, {3, 3, 1, 33, 3, 3, 1, 0},
    {2, 2, 1, 3, 1, 1, 1, 3},    {1, 1, 7, 9, 1, 1, 1, 0},   {3, 40, 4, 8, 2, 3, 1, 0},  {11, 10, 1, 2, 5, 4, 3, 2},
    {13, 12, 4, 16, 8, 8, 4, 0}, {6, 5, 20, 64, 3, 3, 1, 0}, {4, 4, 3, 1, 2, 2, 2, 0},   {7, 7, 8, 7, 3, 3, 2, 1},
    {2, 33, 2, 16, 2, 2, 1, 0},  {5, 5, 4, 12, 3, 3, 5, 0},  {3, 4, 2, 3, 5, 5, 1, 1},   {4, 9, 33, 24, 2, 3, 2, 1},
};
constexpr Activation kActivations[] = {Activation::tanh, Activation::relu, Activation::elu, Activation::silu};

std::string name_of(const Conv2dShape& s) {
  return describe("height", s.height, "width", s.width, "channels", s.channels, "filters", s.filters, "kernel height",
                  s.kernel_height, "kernel width", s.kernel_width, "stride", s.stride, "padding", s.padding);
}

// The oracle: one image as loops over patches. W is (O, C, kh, kw), x (H, W, C), z (OH, OW, O).
template <class T>
struct Oracle {
  using Values = std::vector<T>;
  Conv2dShape s;
  Index out_height = (s.height + 2 * s.padding - s.kernel_height) / s.stride + 1;
  Index out_width = (s.width + 2 * s.padding - s.kernel_width) / s.stride + 1;

  // f(parameter, place in x, place in z) for all products of z = W x, each z's in the order of the kernels
  template <class Function>
  void for_each_product(Function&& f) const {
    for (Index i = 0; i < out_height; ++i) {
      for (Index j = 0; j < out_width; ++j) {
        for (Index r = 0; r < s.kernel_height; ++r) {
          for (Index q = 0; q < s.kernel_width; ++q) {
            const Index u = i * s.stride + r - s.padding, v = j * s.stride + q - s.padding;
            if (u < 0 || v < 0 || u >= s.height || v >= s.width) continue;
            for (Index c = 0; c < s.channels; ++c) {
              for (Index o = 0; o < s.filters; ++o) {
                f(std::size_t(((o * s.channels + c) * s.kernel_height + r) * s.kernel_width + q),
                  std::size_t((u * s.width + v) * s.channels + c), std::size_t((i * out_width + j) * s.filters + o));
              }
            }
          }
        }
      }
    }
  }

  Values bias(const Values& theta) const {
    Values z;
    for (Index p = 0; p < out_height * out_width; ++p) z.insert(z.end(), theta.end() - s.filters, theta.end());
    return z;
  }
  void add_z(const Values& theta, const Values& x, Values& z) const {
    for_each_product([&](auto w, auto at, auto p) { z[p] = multiply_add(x[at], theta[w], z[p]); });
  }
  Values x_bar(const Values& theta, const Values& z_bar) const {
    Values x(std::size_t(s.height * s.width * s.channels), T(0));
    for_each_product([&](auto w, auto at, auto p) { x[at] = multiply_add(z_bar[p], theta[w], x[at]); });
    return x;
  }
  void add_theta_bar(const Values& x, const Values& z_bar, Values& theta_bar) const {
    for_each_product([&](auto w, auto at, auto p) { theta_bar[w] = multiply_add(x[at], z_bar[p], theta_bar[w]); });
    for (std::size_t p = 0; p < z_bar.size(); ++p) {
      theta_bar[theta_bar.size() - std::size_t(s.filters) + p % std::size_t(s.filters)] += z_bar[p];
    }
  }
};

// A layer at random parameters and images, with its tangents and cotangents
template <class Scalar>
struct Block {
  const Layer<Scalar>& layer;
  Index rows;
  Vector<Scalar> theta, dtheta;
  RowMatrix<Scalar> x, dx, z_bar;
  Vector<Scalar> packed, dpacked, packed_bar, reverse;
  PaddedMatrix<Scalar> x_rows, dx_rows, y, cache, dy, y_bar, x_bar;

  Block(const Layer<Scalar>& layer_, Index rows_, Random& random)
      : layer(layer_),
        rows(rows_),
        theta(random.vector<Scalar>(layer.num_params(), 0.3)),
        dtheta(random.vector<Scalar>(layer.num_params())),
        x(random.matrix<Scalar>(rows, layer.input_size())),
        dx(random.matrix<Scalar>(rows, layer.input_size())),
        z_bar(random.matrix<Scalar>(rows, layer.output_size())),
        packed(in_packed_order(theta)),
        dpacked(in_packed_order(dtheta)),
        packed_bar(Vector<Scalar>::Zero(layer.packed_size())),
        reverse(Vector<Scalar>::Zero(layer.reverse_size())),
        x_rows(view(x)),
        dx_rows(view(dx)),
        y(rows, layer.output_size()),
        cache(rows, layer.cache_size()),
        dy(rows, layer.output_size()),
        y_bar(view(z_bar)),
        x_bar(rows, layer.input_size()) {
    layer.pack_reverse(packed.data(), reverse.data());
  }

  LayerBlock<Scalar> at(Rows r) {
    return {packed.data(), reverse.data(), view(x_rows.panel(r.begin, r.size())), y.panel(r.begin, r.size()),
            cache.panel(r.begin, r.size())};
  }
  void run(Rows r) {
    LayerBlock<Scalar> block = at(r);
    layer.forward(block);
    layer.jvp(block, dpacked.data(), view(dx_rows.panel(r.begin, r.size())), dy.panel(r.begin, r.size()));
    layer.vjp(block, y_bar.panel(r.begin, r.size()), x_bar.panel(r.begin, r.size()), packed_bar.data());
  }

  Vector<Scalar> theta_bar() const {
    const std::vector<std::int32_t> to = order();
    return Vector<Scalar>::NullaryExpr(theta.size(), [&](Index i) { return packed_bar[to[std::size_t(i)]]; });
  }

 private:
  std::vector<std::int32_t> order() const {
    std::vector<std::int32_t> to(std::size_t(layer.num_params()));
    layer.packed_order(to.data());
    return to;
  }
  Vector<Scalar> in_packed_order(const Vector<Scalar>& v) const {
    const std::vector<std::int32_t> to = order();
    Vector<Scalar> result = Vector<Scalar>::Zero(layer.packed_size());
    for (Index i = 0; i < v.size(); ++i) result[to[std::size_t(i)]] = v[i];
    return result;
  }
};

// Nothing but 0 in the padding of rows
template <class Scalar>
bool has_clean_padding(const PaddedMatrix<Scalar>& m) {
  const ConstPanel<Scalar> panel = m.panel(0, m.rows());
  for (Index i = 0; i < m.rows(); ++i) {
    for (Index j = m.cols(); j < panel.outerStride(); ++j) {
      if (panel.data()[i * panel.outerStride() + j] != Scalar(0)) return false;
    }
  }
  return true;
}

template <class Scalar, class Values>
bool same_values(const ConstPanel<Scalar>& m, Index row, const Values& expected) {
  for (Index j = 0; j < m.cols(); ++j) {
    if (!same_bits<Scalar>(m(row, j), expected[std::size_t(j)])) return false;
  }
  return true;
}

TEST_BOTH(convolutions_are_sums_over_patches) {
  using Real = Wide<Scalar>;
  const double tolerance = 40.0 * double(std::numeric_limits<Scalar>::epsilon());
  Random random(31);
  for (const Conv2dShape& s : kShapes) {
    const auto layer = make_conv2d<Scalar>(s, Activation::identity);
    for (const Index rows : {Index(1), Index(5), Index(26)}) {
      Block<Scalar> block(*layer, rows, random);
      block.run({0, rows});
      const Oracle<Scalar> oracle{s};
      const Oracle<Real> wide{s};
      const auto theta = widened<Scalar>(block.theta), dtheta = widened<Scalar>(block.dtheta);
      std::vector<Real> theta_bar(theta.size(), Real(0));
      for (Index i = 0; i < rows; ++i) {
        const auto x = widened<Scalar>(block.x.row(i)), dx = widened<Scalar>(block.dx.row(i));
        const auto z_bar = widened<Scalar>(block.z_bar.row(i));
        auto z = oracle.bias(theta), dz = oracle.bias(dtheta);
        CHECK(layer->output_size() == Index(z.size()), "shape", name_of(s));
        oracle.add_z(theta, x, z);
        oracle.add_z(dtheta, x, dz);
        oracle.add_z(theta, dx, dz);
        CHECK(same_values<Scalar>(view(block.y.panel(0, rows)), i, z), "row", i, "shape", name_of(s));
        CHECK(same_values<Scalar>(view(block.dy.panel(0, rows)), i, dz), "row", i, "shape", name_of(s));
        CHECK(same_values<Scalar>(view(block.x_bar.panel(0, rows)), i, oracle.x_bar(theta, z_bar)), "row", i, "shape",
              name_of(s));
        wide.add_theta_bar(widened<Real>(block.x.row(i)), widened<Real>(block.z_bar.row(i)), theta_bar);
      }
      CHECK(is_close(block.theta_bar(), theta_bar, tolerance), "rows", rows, "shape", name_of(s));
      for (const auto* m : {&block.y, &block.dy, &block.y_bar, &block.x_bar}) {
        CHECK(has_clean_padding(*m), "rows", rows, "shape", name_of(s));
      }
      const Index nonzero = (block.theta_bar().array() != Scalar(0)).count();
      CHECK((block.packed_bar.array() != Scalar(0)).count() == nonzero, "padding of theta", name_of(s));
    }
  }
}

TEST_BOTH(an_image_has_the_same_bits_in_every_block) {
  Random random(32);
  for (const Conv2dShape& s : kShapes) {
    const auto layer = make_conv2d<Scalar>(s, kActivations[random.below(4)]);
    constexpr Index rows = 29;
    Block<Scalar> whole(*layer, rows, random), cut(whole);
    whole.run({0, rows});
    for (Index begin = 0, size = 1; begin < rows; begin += size++) {
      cut.run({begin, std::min(begin + size, rows)});
    }
    const auto same = [&](const PaddedMatrix<Scalar>& a, const PaddedMatrix<Scalar>& b) {
      return a.panel(0, rows) == b.panel(0, rows);
    };
    CHECK(same(whole.y, cut.y) && same(whole.dy, cut.dy), "shape", name_of(s));
    CHECK(same(whole.x_bar, cut.x_bar) && whole.packed_bar == cut.packed_bar, "shape", name_of(s));
  }
}

TEST_BOTH(derivatives_of_convolutions_with_activations) {
  using Real = Wide<Scalar>;
  const double tolerance = 60.0 * double(std::numeric_limits<Scalar>::epsilon());
  Random random(33);
  for (const Conv2dShape& s : kShapes) {
    for (const Activation activation : kActivations) {
      const auto layer = make_conv2d<Scalar>(s, activation);
      Block<Scalar> block(*layer, 2, random);
      block.run({0, 2});
      const Oracle<Real> oracle{s};
      const auto theta = widened<Real>(block.theta), dtheta = widened<Real>(block.dtheta);
      std::vector<Real> theta_bar(theta.size(), Real(0));
      for (Index i = 0; i < 2; ++i) {
        const auto x = widened<Real>(block.x.row(i)), dx = widened<Real>(block.dx.row(i));
        auto z = oracle.bias(theta), dz = oracle.bias(dtheta);
        auto z_bar = widened<Real>(block.z_bar.row(i));
        oracle.add_z(theta, x, z);
        oracle.add_z(dtheta, x, dz);
        oracle.add_z(theta, dx, dz);
        for (std::size_t p = 0; p < z.size(); ++p) {
          const Dual<Real> y = reference_activation(activation, Dual<Real>(z[p], Real(1)));
          z[p] = y.value;
          dz[p] *= y.slope;
          z_bar[p] *= y.slope;
        }
        CHECK(is_close(block.y.panel(0, 2).row(i), z, tolerance), "row", i, "shape", name_of(s));
        CHECK(is_close(block.dy.panel(0, 2).row(i), dz, tolerance), "row", i, "shape", name_of(s));
        CHECK(is_close(block.x_bar.panel(0, 2).row(i), oracle.x_bar(theta, z_bar), tolerance), "row", i, "shape",
              name_of(s));
        oracle.add_theta_bar(x, z_bar, theta_bar);
      }
      CHECK(is_close(block.theta_bar(), theta_bar, tolerance), "shape", name_of(s));
    }
  }
}

TEST_BOTH(a_first_convolution_leaves_out_what_is_not_needed) {
  Random random(34);
  for (const Conv2dShape& s : kShapes) {
    const auto layer = make_conv2d<Scalar>(s, Activation::tanh);
    Block<Scalar> block(*layer, 3, random), first(block);
    block.dx_rows.panel(0, 3).setZero();
    block.run({0, 3});
    LayerBlock<Scalar> at = first.at({0, 3});
    layer->forward(at);
    const ConstPanel<Scalar> no_dx(nullptr, 3, layer->input_size(), Eigen::OuterStride<>(0));
    const Panel<Scalar> no_x_bar(nullptr, 3, layer->input_size(), Eigen::OuterStride<>(0));
    layer->jvp(at, first.dpacked.data(), no_dx, first.dy.panel(0, 3));
    layer->vjp(at, first.y_bar.panel(0, 3), no_x_bar, first.packed_bar.data());
    CHECK(first.dy.panel(0, 3) == block.dy.panel(0, 3), "shape", name_of(s));
    CHECK(first.packed_bar == block.packed_bar, "shape", name_of(s));
  }
}

TEST_BOTH(a_pixel_moves_only_the_outputs_that_see_it) {
  Random random(35);
  const Conv2dShape s{9, 8, 3, 5, 3, 2, 2, 1};
  const auto layer = make_conv2d<Scalar>(s, Activation::tanh);
  for (Index u = 0; u < s.height; ++u) {
    for (Index v = 0; v < s.width; ++v) {
      Block<Scalar> block(*layer, 2, random);
      block.x_rows.panel(1, 1) = block.x.row(0);
      block.x_rows.panel(1, 1).middleCols((u * s.width + v) * s.channels, s.channels).array() += Scalar(1);
      block.run({0, 2});
      for (Index p = 0; p < s.locations(); ++p) {
        const Index r = u + s.padding - p / s.columns().outputs * s.stride;
        const Index q = v + s.padding - p % s.columns().outputs * s.stride;
        const bool is_seen = r >= 0 && r < s.kernel_height && q >= 0 && q < s.kernel_width;
        const auto y = block.y.panel(0, 2).middleCols(p * s.filters, s.filters);
        CHECK((y.row(0) != y.row(1)) == is_seen, "row", u, "column", v, "output", p);
      }
    }
  }
}

// Kernels that cover the image, behind Flatten, and the weights of Dense in the same order
TEST_BOTH(a_kernel_as_large_as_the_image_is_a_dense_layer) {
  const double tolerance = 20.0 * double(std::numeric_limits<Scalar>::epsilon());
  using Layers = std::vector<std::shared_ptr<const Layer<Scalar>>>;
  Random random(36);
  for (const Index filters : {1, 7, 20}) {
    const Conv2dShape s{4, 5, 3, filters, 4, 5, 1, 0};
    const Network<Scalar> conv(Layers{make_conv2d<Scalar>(s, Activation::tanh)});
    const Network<Scalar> dense(
        Layers{std::make_shared<Flatten<Scalar>>(4, 5, 3), make_dense<Scalar>(60, filters, Activation::tanh)});
    CHECK(conv.num_params() == dense.num_params(), "filters", filters);
    const Vector<Scalar> theta = random.vector<Scalar>(conv.num_params(), 0.3);
    const RowMatrix<Scalar> x = random.matrix<Scalar>(kBatchRows, 60);
    const auto evaluated = [&](const Network<Scalar>& network) {
      RowMatrix<Scalar> y(x.rows(), filters);
      forward<Scalar>(network, theta.data(), view(x), MatrixView<Scalar>(y.data(), y.rows(), y.cols()), 1);
      return y;
    };
    const RowMatrix<Scalar> y = evaluated(conv), expected = evaluated(dense);
    CHECK((y - expected).norm() <= tolerance * double(expected.norm()), "filters", filters);
  }
}

// Differences, and <u, J v> = <J^T u, v>
TEST(derivatives_of_a_convolutional_network) {
  const Network<double> network = make_convolutional_network<double>();
  Random random(37);
  for (const Index rows : {1, 63, 64, 65}) {
    const Vector<double> theta = random.vector<double>(network.num_params(), 0.3);
    const Vector<double> v = random.vector<double>(network.num_params());
    const RowMatrix<double> x = random.matrix<double>(rows, kConvolutionalInputs), u = random.matrix<double>(rows, 3);
    const auto evaluated = [&](const Vector<double>& at) {
      RowMatrix<double> y(rows, 3);
      forward<double>(network, at.data(), view(x), MatrixView<double>(y.data(), rows, 3), 2);
      return y;
    };
    const Linearization<double> at(network, theta.data(), view(x), 2);
    typename Linearization<double>::Workspace workspace(at);
    Vector<double> v_packed = Vector<double>::Zero(network.packed_size()), packed_bar(v_packed), bar(theta.size());
    network.pack(v.data(), v_packed.data());
    RowMatrix<double> dphi(rows, 3);
    PaddedMatrix<double> u_rows(view(u));
    for_each_piece({0, rows}, [&](Rows r) {
      const auto block = at.load(r, workspace);
      dphi.middleRows(r.begin, r.size()) = block.jvp(v_packed.data());
      block.vjp(u_rows.panel(r.begin, r.size()), packed_bar.data());
    });
    network.unpack(packed_bar.data(), bar.data());
    const double h = 1e-6;
    const RowMatrix<double> difference = (evaluated(theta + h * v) - evaluated(theta - h * v)) / (2 * h);
    CHECK((dphi - difference).norm() <= 1e-7 * dphi.norm(), "rows", rows, "error", (dphi - difference).norm());
    const double left = u.cwiseProduct(dphi).sum(), right = bar.dot(v);
    CHECK(std::abs(left - right) <= 1e-13 * u.norm() * dphi.norm(), "rows", rows, "left", left, "right", right);
  }
}

TEST_BOTH(flatten_and_columns_copy) {
  Random random(38);
  const Flatten<Scalar> flatten(3, 4, 5);
  const Columns<Scalar> some(60, 7, 13);
  Block<Scalar> at(flatten, 3, random), cut(some, 3, random);
  at.run({0, 3});
  cut.run({0, 3});
  for (Index n = 0; n < 3; ++n) {
    for (Index i = 0; i < 60; ++i) {
      const Index to = i % 5 * 12 + i / 5, j = i - 7;
      CHECK(at.y.panel(n, 1)(0, to) == at.x(n, i) && at.dy.panel(n, 1)(0, to) == at.dx(n, i), "element", i);
      CHECK(at.x_bar.panel(n, 1)(0, i) == at.z_bar(n, to), "element", i);
      const bool is_inside = j >= 0 && j < 13;
      CHECK(cut.x_bar.panel(n, 1)(0, i) == (is_inside ? cut.z_bar(n, j) : Scalar(0)), "column", i);
      if (is_inside)
        CHECK(cut.y.panel(n, 1)(0, j) == cut.x(n, i) && cut.dy.panel(n, 1)(0, j) == cut.dx(n, i), "column", i);
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
