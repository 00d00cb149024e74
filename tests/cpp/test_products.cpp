// Panels and products: every shape of block, to the last bit. An element of a product is one sum in the order of its
// terms, so a loop over scalars gives the same bits, and the row's place and the block's size cannot matter.
#include <algorithm>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/kernels/products.hpp"

namespace trpo_fast::tests {
namespace {

constexpr Index kMaxRows = 13;
constexpr Index kMaxColumns = 70;
const Index kDepths[] = {1, 2, 7, 33};

template <class Scalar>
Vector<Scalar> panels_of(const RowMatrix<Scalar>& b) {
  Vector<Scalar> panels = Vector<Scalar>::Zero(b.rows() * panel_columns<Scalar>(b.cols()));
  for_each_panel_element<Scalar>(b.rows(), b.cols(), [&](Index packed, Index k, Index j) { panels[packed] = b(k, j); });
  return panels;
}

TEST_BOTH(panels_have_a_place_for_every_element) {
  for (Index n = 1; n <= kMaxColumns; ++n) {
    for (const Index depth : kDepths) {
      CHECK(panel_columns<Scalar>(n) >= n && panel_columns<Scalar>(n) <= padded<Scalar>(n), "columns", n);
      std::vector<int> taken(static_cast<std::size_t>(depth * panel_columns<Scalar>(n)), 0);
      Index count = 0;
      for_each_panel_element<Scalar>(depth, n, [&](Index packed, Index k, Index j) {
        CHECK(taken.at(static_cast<std::size_t>(packed))++ == 0, "columns", n, "k", k, "j", j);
        ++count;
      });
      CHECK(count == depth * n, "columns", n, "depth", depth);
    }
  }
}

// y = bias + A1 B1 + A2 B2, with or without the bias and the second product
template <int kChains, class Scalar>
void check_product(Index rows, Index n, Index depth, bool with_bias, bool with_second, Random& random) {
  const Index a_stride = depth + 3, depth2 = with_second ? depth + 1 : 0;
  const RowMatrix<Scalar> a1 = random.matrix<Scalar>(rows, a_stride), a2 = random.matrix<Scalar>(rows, depth2);
  const RowMatrix<Scalar> b1 = random.matrix<Scalar>(depth + (with_bias ? 1 : 0), n);
  const RowMatrix<Scalar> b2 = random.matrix<Scalar>(1 + depth2, n);  // its first row, a bias, is passed over
  const Vector<Scalar> panels1 = panels_of(b1), panels2 = panels_of(b2);
  PaddedMatrix<Scalar> y(rows, n);
  Panel<Scalar> out = y.panel(0, rows);
  const Scalar canary(42);
  Panel<Scalar>(out.data(), rows, out.outerStride(), Eigen::OuterStride<>(out.outerStride())).setConstant(canary);

  const MatrixProduct<Scalar> first{a1.data(), a_stride, panels1.data(), b1.rows(), depth};
  const MatrixProduct<Scalar> second{a2.data(), depth2, panels2.data(), b2.rows(), depth2};
  multiply<kChains>(rows, n, first, with_second ? second : MatrixProduct<Scalar>{}, out);

  const Index bias_rows = with_bias ? 1 : 0;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < n; ++j) {
      ChainedSum<kChains, Scalar> sum(with_bias ? b1(0, j) : Scalar(0));
      for (Index k = 0; k < depth; ++k) sum.add(k, a1(i, k), b1(bias_rows + k, j));
      for (Index k = 0; k < depth2; ++k) sum.add(k, a2(i, k), b2(1 + k, j));
      CHECK(same_bits<Scalar>(out(i, j), sum.value()), "rows", rows, "columns", n, "depth", depth, "i", i, "j", j);
    }
    for (Index j = panel_columns<Scalar>(n); j < out.outerStride(); ++j) {
      CHECK(out.data()[i * out.outerStride() + j] == canary, "rows", rows, "columns", n, "padding", j);
    }
  }
}

TEST_BOTH(products_are_sums_in_order) {
  Random random(1);
  for (Index rows = 1; rows <= kMaxRows; ++rows) {
    for (Index n = 1; n <= kMaxColumns; ++n) {
      const Index depth = kDepths[(rows + n) % 4];
      check_product<1, Scalar>(rows, n, depth, true, false, random);
      check_product<1, Scalar>(rows, n, depth, false, false, random);
      check_product<1, Scalar>(rows, n, depth, true, true, random);
      check_product<2, Scalar>(rows, n, depth, true, true, random);
      check_product<4, Scalar>(rows, n, depth, true, true, random);
    }
  }
}

TEST_BOTH(products_of_what_is_not_packed_are_sums_in_order) {
  Random random(13);
  for (Index rows = 1; rows <= kMaxRows; ++rows) {
    for (Index n = 1; n <= kMaxColumns; ++n) {
      const Index depth = kDepths[(rows + n) % 4];
      PaddedMatrix<Scalar> a(rows, depth), b(depth, n), y(rows, n);
      a.panel(0, rows) = random.matrix<Scalar>(rows, depth);
      b.panel(0, depth) = random.matrix<Scalar>(depth, n);
      multiply(view(a.panel(0, rows)), view(b.panel(0, depth)), y.panel(0, rows));
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < n; ++j) {
          Scalar sum(0);
          for (Index k = 0; k < depth; ++k) sum = multiply_add(a.panel(i, 1)(0, k), b.panel(k, 1)(0, j), sum);
          CHECK(same_bits<Scalar>(y.panel(i, 1)(0, j), sum), "rows", rows, "columns", n, "depth", depth);
        }
      }
    }
  }
}

TEST_BOTH(outer_products_are_sums_in_order) {
  Random random(2);
  for (Index m = 1; m <= kMaxRows; ++m) {
    for (Index n = 1; n <= kMaxColumns; ++n) {
      const Index rows = kDepths[(m + n) % 4];
      const RowMatrix<Scalar> a = random.matrix<Scalar>(rows, m + 2);
      PaddedMatrix<Scalar> b(rows, n);
      b.panel(0, rows) = random.matrix<Scalar>(rows, n);
      const ConstPanel<Scalar> b_rows = view(b.panel(0, rows));
      const RowMatrix<Scalar> start = random.matrix<Scalar>(1 + m, n);
      Vector<Scalar> c = panels_of(start);
      add_outer_products(rows, a.data(), a.cols(), m, b_rows.data(), b_rows.outerStride(), n, c.data());
      for_each_panel_element<Scalar>(1 + m, n, [&](Index packed, Index k, Index j) {
        Scalar sum = start(k, j);  // row 0 is a bias
        for (Index i = 0; k > 0 && i < rows; ++i) sum = multiply_add(a(i, k - 1), b_rows(i, j), sum);
        CHECK(same_bits(c[packed], sum), "rows", rows, "m", m, "columns", n, "k", k, "j", j);
      });
    }
  }
}

TEST_BOTH(packing_and_unpacking_are_inverse) {
  Random random(3);
  for (Index n = 1; n <= kMaxColumns; ++n) {
    const Index in = 1 + (7 * n) % 23;
    const Network<Scalar> network = make_network<Scalar>({{in, n, 2 + n % 3}, Activation::tanh, true});
    const Vector<Scalar> theta = random.vector<Scalar>(network.num_params());
    Vector<Scalar> packed = Vector<Scalar>::Zero(network.packed_size());
    network.pack(theta.data(), packed.data());
    Vector<Scalar> back = Vector<Scalar>::Zero(theta.size());
    network.unpack(packed.data(), back.data());
    CHECK(back == theta, "columns", n);
    CHECK((packed.array() != Scalar(0)).count() == theta.size(), "columns", n);  // the rest is padding
  }
}

TEST_BOTH(reverse_packing_transposes) {
  Random random(4);
  for (Index out = 1; out <= kMaxColumns; ++out) {
    const Index in = 1 + (11 * out) % 71;
    const Network<Scalar> network = make_network<Scalar>({{in, out}, Activation::identity, false});
    const Vector<Scalar> theta = random.vector<Scalar>(network.num_params());
    Vector<Scalar> packed = Vector<Scalar>::Zero(network.packed_size());
    Vector<Scalar> reverse = Vector<Scalar>::Zero(network.reverse_size());
    network.pack(theta.data(), packed.data());
    network.pack_reverse(packed.data(), reverse.data());
    for_each_panel_element<Scalar>(out, in, [&](Index at, Index k, Index j) {
      CHECK(reverse[at] == theta[k * in + j], "out", out, "in", in, "k", k, "j", j);
    });
    CHECK((reverse.array() != Scalar(0)).count() == in * out, "out", out, "in", in);
  }
}

}  // namespace
}  // namespace trpo_fast::tests
