// The matrix products of a layer, on blocks of rows and packed panels. Every element is one sum in a fixed order,
// which starts from the bias or the present value: it does not depend on the row's position in a block, nor on the
// block. Long blocks are walked in pieces, whose rows stay in the cache.
#pragma once

#include "../blocks.hpp"
#include "panels.hpp"
#include "register_block.hpp"

namespace trpo_fast {

// A product A B, one term of a sum of products.
template <class Scalar>
struct MatrixProduct {
  const Scalar* a;  // (rows, depth), row-major
  Index a_stride;
  const Scalar* b;  // panels of b_rows rows: the depth rows of B come last, after a bias
  Index b_rows;
  Index depth;

  const Scalar* panel(Index column, Index width) const { return b + column * b_rows + (b_rows - depth) * width; }
};

namespace detail {

// f(first row, number of rows as a constant) for blocks of at most Most rows that cover [begin, end)
template <int Most, class Function>
void for_each_row_block(Index begin, Index end, Function&& f) {
  for (; end - begin >= Most; begin += Most) f(begin, std::integral_constant<int, Most>{});
  if constexpr (Most > 1) {
    if (begin < end) for_each_row_block<Most - 1>(begin, end, f);
  }
}

}  // namespace detail

// What is done with a register block of results, from `row` and `column` on, before it is stored: nothing.
struct AsComputed {
  template <class Block>
  void operator()(Block& /*block*/, Index /*row*/, Index /*column*/) const {}
};

// y = bias + A1 B1 + A2 B2. The bias is the first row of B1's panels, if they have one more than `depth`; A2 B2 is left
// out where A2 is null. Every element has kChains partial sums (RegisterBlock); the more of them, the fewer rows are
// computed at a time.
template <int kChains, class Scalar, class Finish = AsComputed>
void multiply(Index rows,
              Index columns,                        // n
              const MatrixProduct<Scalar>& first,   // A1 B1
              const MatrixProduct<Scalar>& second,  // A2 B2
              const Panel<Scalar>& y,               // (rows, n)
              const Finish& finish = {}) {
  for_each_piece({0, rows}, [&](Rows piece) {
    for_each_panel<Scalar>(columns, [&](auto shape, Index column) {
      using Shape = decltype(shape);
      const Scalar* bias = first.b_rows > first.depth ? first.b + column * first.b_rows : nullptr;
      const Scalar* b1 = first.panel(column, Shape::kWidth);
      const Scalar* b2 = second.a != nullptr ? second.panel(column, Shape::kWidth) : nullptr;
      detail::for_each_row_block<Shape::kRows / kChains>(piece.begin, piece.end, [&](Index row, auto block_rows) {
        RegisterBlock<typename Shape::Packet, decltype(block_rows)::value, Shape::kPackets, kChains> block;
        block.set_rows(bias);
        block.accumulate(first.a + row * first.a_stride, first.a_stride, 1, b1, Shape::kWidth, first.depth);
        if (b2 != nullptr) {
          block.accumulate(second.a + row * second.a_stride, second.a_stride, 1, b2, Shape::kWidth, second.depth);
        }
        finish(block, row, column);
        block.store(const_cast<Scalar*>(y.data()) + row * y.outerStride() + column, y.outerStride());
      });
    });
  });
}

// y += A B, where every element has kChains partial sums, of which the first starts from its present value
template <int kChains, class Scalar>
void add_product(Index rows,
                 Index columns,                         // n
                 const MatrixProduct<Scalar>& product,  // A B
                 const Panel<Scalar>& y                 // (rows, n)
) {
  for_each_panel<Scalar>(columns, [&](auto shape, Index column) {
    using Shape = decltype(shape);
    const Scalar* b = product.panel(column, Shape::kWidth);
    detail::for_each_row_block<Shape::kRows / kChains>(0, rows, [&](Index row, auto block_rows) {
      RegisterBlock<typename Shape::Packet, decltype(block_rows)::value, Shape::kPackets, kChains> block;
      Scalar* to = const_cast<Scalar*>(y.data()) + row * y.outerStride() + column;
      block.load(to, y.outerStride());
      block.accumulate(product.a + row * product.a_stride, product.a_stride, 1, b, Shape::kWidth, product.depth);
      block.store(to, y.outerStride());
    });
  });
}

// y = A B with row-major B, for matrices that are used too seldom to be worth packing. Rows of B and y are padded.
template <class Scalar>
void multiply(ConstPanel<Scalar> a,  // (rows, depth)
              ConstPanel<Scalar> b,  // (depth, n)
              Panel<Scalar> y        // (rows, n)
) {
  for_each_panel<Scalar>(b.cols(), [&](auto shape, Index column) {
    using Shape = decltype(shape);
    detail::for_each_row_block<Shape::kRows>(0, a.rows(), [&](Index row, auto block_rows) {
      RegisterBlock<typename Shape::Packet, decltype(block_rows)::value, Shape::kPackets> block;
      block.set_rows(nullptr);
      block.accumulate(a.data() + row * a.outerStride(), a.outerStride(), 1, b.data() + column, b.outerStride(),
                       a.cols());
      block.store(y.data() + row * y.outerStride() + column, y.outerStride());
    });
  });
}

// C += A^T B over the rows of a block, with C in panels whose first row, a bias, is not touched
template <class Scalar>
void add_outer_products(Index rows,
                        const Scalar* a,  // (rows, m)
                        Index a_stride, Index m,
                        const Scalar* b,  // (rows, n)
                        Index b_stride, Index n,
                        Scalar* c  // panels of (1 + m, n)
) {
  for_each_piece({0, rows}, [&](Rows piece) {
    for_each_panel<Scalar>(n, [&](auto shape, Index column) {
      using Shape = decltype(shape);
      Scalar* panel = c + column * (1 + m) + Shape::kWidth;
      detail::for_each_row_block<Shape::kRows>(0, m, [&](Index k, auto block_rows) {
        RegisterBlock<typename Shape::Packet, decltype(block_rows)::value, Shape::kPackets> block;
        block.load(panel + k * Shape::kWidth, Shape::kWidth);
        block.accumulate(a + piece.begin * a_stride + k, 1, a_stride, b + piece.begin * b_stride + column, b_stride,
                         piece.size());
        block.store(panel + k * Shape::kWidth, Shape::kWidth);
      });
    });
  });
}

}  // namespace trpo_fast
