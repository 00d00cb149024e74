// Gru: gated recurrent units in the convention of PyTorch and cuDNN, where the reset gate acts after the product.
//
//   h~ = 0 where an episode begins, else the lane's former state h
//   r  = sigmoid(x W_r^T + b_r + h~ U_r^T)
//   z  = sigmoid(x W_z^T + b_z + h~ U_z^T)
//   m  = h~ U_n^T + c
//   n  = tanh(x W_n^T + b_n + r m)
//   y  = h = (1 - z) n + z h~
//
// theta_l is W (3 out, in), U (3 out, out), b (3 out), all in the order r, z, n, then c (out). PyTorch has a second
// bias for r and z too, which adds nothing.
//
// Packed: the panels of [b; W^T] in the order n, r, z, those of [0; U^T] in the order r, z, n, and c. Reverse: the
// panels of W and of U. A row of the cache is h~ n r z m; so x meets the columns n r z, and h~ meets r z m. Scratch is
// their tangents or cotangents in the same order.
//
// In each pass, only products of h~ (or its tangent or cotangent) with U are sequential, one a step. Acting is a
// sequence of one step. Every element of a product is the same sum however the rows are cut, so stepping has the bits
// of the whole sequence.
#pragma once

#include "../kernels/products.hpp"
#include "../kernels/transpose.hpp"
#include "recurrence.hpp"

namespace trpo_fast {

template <class Scalar>
class Gru final : public Layer<Scalar> {
 public:
  Gru(Index input_size, Index output_size) : in_(input_size), out_(output_size), gate_(padded<Scalar>(output_size)) {}

  Index input_size() const override { return in_; }
  Index output_size() const override { return out_; }
  Index num_params() const override { return 3 * out_ * (in_ + out_ + 1) + out_; }
  Index cache_size() const override { return 5 * gate_; }
  Index scratch_size() const override { return 5 * gate_; }
  Index state_size() const override { return out_; }
  Index packed_size() const override { return (1 + in_ + 1 + out_) * 3 * gate_ + gate_; }
  Index reverse_size() const override { return 3 * gate_ * (panel_columns<Scalar>(in_) + panel_columns<Scalar>(out_)); }

  void packed_order(std::int32_t* order) const override {
    std::int32_t* const u = order + 3 * out_ * in_;
    std::int32_t* const b = u + 3 * out_ * out_;
    for_each_gate_element(1 + in_, [&](Index packed, Index k, Index gate, Index j) {
      const Index row = (gate + 2) % 3 * out_ + j;  // n r z to r z n
      (k == 0 ? b[row] : order[row * in_ + k - 1]) = static_cast<std::int32_t>(packed);
    });
    for_each_gate_element(1 + out_, [&](Index packed, Index k, Index gate, Index j) {
      if (k > 0) u[(gate * out_ + j) * out_ + k - 1] = static_cast<std::int32_t>(u_offset() + packed);
    });
    for (Index j = 0; j < out_; ++j) b[3 * out_ + j] = static_cast<std::int32_t>(c_offset() + j);
  }

  void pack_reverse(const Scalar* packed, Scalar* reverse) const override {
    transpose_panels(packed, in_, 3 * gate_, reverse);
    transpose_panels(packed + u_offset(), out_, 3 * gate_, reverse + u_reverse_offset());
  }

  void forward(LayerBlock<Scalar>& at) const override {
    const Steps<Scalar> steps(at);
    steps.for_each_chunk([&](Rows chunk) {
      // n r z = x W^T + b
      multiply<2, Scalar>(chunk.size(), 3 * gate_, with_x(at.x, chunk, at.packed), {}, part(at.cache, chunk, kN, 3));
      steps.for_each_step(chunk, [&](Rows rows) {
        for (Index row = rows.begin; row < rows.end; ++row) {
          Scalar* const kept = row_of(at.cache, row);
          copy_padded(steps.state_before(row, view(at.y)), out_, kept);
          std::copy_n(at.packed + c_offset(), gate_, kept + kM * gate_);
        }
        // r z m += h~ U^T, where m = c
        add_product_with_u(at.cache, rows, at.packed, at.cache);
        for (Index row = rows.begin; row < rows.end; ++row) finish(row_of(at.cache, row), row_of(at.y, row));
      });
    });
    steps.write_last(view(at.y), out_);
  }

  void jvp(const LayerBlock<Scalar>& at, const Scalar* dpacked, ConstPanel<Scalar> dx,
           Panel<Scalar> dy) const override {
    const Steps<Scalar> steps(at);
    steps.for_each_chunk([&](Rows chunk) {
      // dn dr dz = x dW^T + db + dx W^T
      multiply<2, Scalar>(chunk.size(), 3 * gate_, with_x(at.x, chunk, dpacked), with_x(dx, chunk, at.packed),
                          part(at.scratch, chunk, kN, 3));
      // dr dz dm += h~ dU^T, where dm = dc
      for (Index row = chunk.begin; row < chunk.end; ++row) {
        std::copy_n(dpacked + c_offset(), gate_, row_of(at.scratch, row) + kM * gate_);
      }
      add_product_with_u(at.cache, chunk, dpacked, at.scratch);
      steps.for_each_step(chunk, [&](Rows rows) {
        for (Index row = rows.begin; row < rows.end; ++row) {
          copy_padded(steps.tangent_before(row, view(dy)), out_, row_of(at.scratch, row));
        }
        // dr dz dm += dh~ U^T
        if (rows.begin > 0) add_product_with_u(at.scratch, rows, at.packed, at.scratch);
        for (Index row = rows.begin; row < rows.end; ++row) {
          finish_tangent(row_of(at.cache, row), row_of(at.scratch, row), row_of(dy, row));
        }
      });
    });
  }

  void vjp(const LayerBlock<Scalar>& at, Panel<Scalar> y_bar, Panel<Scalar> x_bar, Scalar* packed_bar) const override {
    const Steps<Scalar> steps(at);
    steps.for_each_chunk_reversed([&](Rows chunk) {
      steps.for_each_step_reversed(chunk, [&](Rows rows) {
        for (Index row = rows.begin; row < rows.end; ++row) {
          Scalar* const bar = row_of(at.scratch, row);
          copy_padded(row_of(y_bar, row), out_, bar);
          // Reverse: h~ = 0 where an episode begins, else the former h
          const Index next = row + steps.lanes();
          const bool is_read = next < steps.num_rows() && !steps.is_start(next);
          reverse_finish(row_of(at.cache, row), is_read ? row_of(at.scratch, next) : nullptr, bar);
        }
        // Reverse: r z m += h~ U^T, its h~; the first state is data
        if (rows.begin > 0) {
          add_product<2, Scalar>(rows.size(), out_,
                                 of_part(at.scratch, rows, kR, at.reverse + u_reverse_offset(), 3 * gate_, 3 * gate_),
                                 part(at.scratch, rows, kH, 1));
        }
      });
      add_parameters(at, chunk, packed_bar);
      // Reverse: n r z = x W^T + b, its x
      if (x_bar.data() != nullptr) {
        multiply<2, Scalar>(chunk.size(), in_, of_part(at.scratch, chunk, kN, at.reverse, 3 * gate_, 3 * gate_), {},
                            row_range(x_bar, chunk.begin, chunk.size()));
      }
    });
  }

 private:
  using Packet = FullPacket<Scalar>;
  enum Part : Index { kH, kN, kR, kZ, kM };  // of a row of cache or scratch, gate_ columns each

  // f(place in panels of (depth, 3 gate_), row, gate, column of the gate) for all elements but the padding
  template <class Function>
  void for_each_gate_element(Index depth, Function&& f) const {
    for_each_panel_element<Scalar>(depth, 3 * gate_, [&](Index packed, Index k, Index column) {
      if (column % gate_ < out_) f(packed, k, column / gate_, column % gate_);
    });
  }

  // [1, x] [b; W^T] on some rows; left out where x has no data
  MatrixProduct<Scalar> with_x(const ConstPanel<Scalar>& x, Rows rows, const Scalar* packed) const {
    const Scalar* const first = x.data() == nullptr ? nullptr : x.data() + rows.begin * x.outerStride();
    return {first, x.outerStride(), packed, 1 + in_, in_};
  }
  // The columns of m from a part on, on some rows, times a matrix
  MatrixProduct<Scalar> of_part(const Panel<Scalar>& m, Rows rows, Part first, const Scalar* b, Index b_rows,
                                Index depth) const {
    return {row_of(m, rows.begin) + first * gate_, m.outerStride(), b, b_rows, depth};
  }
  // to's r z m += a's h~ times U^T, on some rows
  void add_product_with_u(const Panel<Scalar>& a, Rows rows, const Scalar* packed, const Panel<Scalar>& to) const {
    add_product<2, Scalar>(rows.size(), 3 * gate_, of_part(a, rows, kH, packed + u_offset(), 1 + out_, out_),
                           part(to, rows, kR, 3));
  }

  // Reverse: r z m += h~ U^T, where m = c, and n r z = x W^T + b, their parameters
  void add_parameters(const LayerBlock<Scalar>& at, Rows rows, Scalar* packed_bar) const {
    const Panel<Scalar> rzm = part(at.scratch, rows, kR, 3), nrz = part(at.scratch, rows, kN, 3);
    const Index stride = at.scratch.outerStride();
    add_outer_products(rows.size(), row_of(at.cache, rows.begin), at.cache.outerStride(), out_, rzm.data(), stride,
                       3 * gate_, packed_bar + u_offset());
    add_column_sums(view(part(at.scratch, rows, kM, 1)), packed_bar + c_offset());
    const ConstPanel<Scalar> x = row_range(at.x, rows.begin, rows.size());
    add_outer_products(rows.size(), x.data(), x.outerStride(), in_, nrz.data(), stride, 3 * gate_, packed_bar);
    for_each_panel<Scalar>(3 * gate_, [&](auto shape, Index column) {
      add_column_sums(view(columns(nrz, column, shape.kWidth)), packed_bar + column * (1 + in_));
    });
  }

  // From h~ m and what the gates are functions of: the gates, and h
  void finish(Scalar* kept, Scalar* h) const {
    for (Index j = 0; j < gate_; j += kLanes<Packet>) {
      const Packet r = logistic(get(kept, kR, j)), z = logistic(get(kept, kZ, j));
      const Packet n = tanh(simd::pmadd(r, get(kept, kM, j), get(kept, kN, j)));
      put(kept, kR, j, r);
      put(kept, kZ, j, z);
      put(kept, kN, j, n);
      simd::pstoreu(h + j, simd::pmadd(z, simd::psub(get(kept, kH, j), n), n));
    }
  }

  void finish_tangent(const Scalar* kept, const Scalar* d, Scalar* dh) const {
    for (Index j = 0; j < gate_; j += kLanes<Packet>) {
      const Packet r = get(kept, kR, j), z = get(kept, kZ, j), n = get(kept, kN, j);
      const Packet dr = simd::pmul(get(d, kR, j), slope_of_logistic(r));
      const Packet dz = simd::pmul(get(d, kZ, j), slope_of_logistic(z));
      // n = tanh(... + r m)
      const Packet drm = simd::pmadd(dr, get(kept, kM, j), simd::pmul(r, get(d, kM, j)));
      const Packet dn = simd::pmul(simd::padd(get(d, kN, j), drm), one_minus_square(n));
      // h = n + z (h~ - n)
      const Packet moved = simd::pmadd(z, simd::psub(get(d, kH, j), dn), dn);
      simd::pstoreu(dh + j, simd::pmadd(dz, simd::psub(get(kept, kH, j), n), moved));
    }
  }

  // bar has y_bar first, next_bar the cotangent of the next row's h~ or null; after it bar has that of h~ without what
  // comes by U, and those of n r z m.
  void reverse_finish(const Scalar* kept, const Scalar* next_bar, Scalar* bar) const {
    const Packet zero = simd::pset1<Packet>(Scalar(0)), one = simd::pset1<Packet>(Scalar(1));
    for (Index j = 0; j < gate_; j += kLanes<Packet>) {
      const Packet r = get(kept, kR, j), z = get(kept, kZ, j), n = get(kept, kN, j);
      const Packet h_bar = simd::padd(get(bar, kH, j), next_bar != nullptr ? get(next_bar, kH, j) : zero);
      const Packet n_bar = simd::pmul(simd::pmul(h_bar, simd::psub(one, z)), one_minus_square(n));
      const Packet z_bar = simd::pmul(simd::pmul(h_bar, simd::psub(get(kept, kH, j), n)), slope_of_logistic(z));
      put(bar, kH, j, simd::pmul(h_bar, z));
      put(bar, kN, j, n_bar);
      put(bar, kR, j, simd::pmul(simd::pmul(n_bar, get(kept, kM, j)), slope_of_logistic(r)));
      put(bar, kZ, j, z_bar);
      put(bar, kM, j, simd::pmul(n_bar, r));
    }
  }

  static Packet slope_of_logistic(const Packet& s) { return simd::psub(s, simd::pmul(s, s)); }

  Packet get(const Scalar* row, Part part, Index j) const { return simd::ploadu<Packet>(row + part * gate_ + j); }
  void put(Scalar* row, Part part, Index j, const Packet& value) const { simd::pstoreu(row + part * gate_ + j, value); }
  Panel<Scalar> part(const Panel<Scalar>& m, Rows rows, Part first, Index count) const {
    return columns(row_range(m, rows.begin, rows.size()), first * gate_, count * gate_);
  }
  static Scalar* row_of(const Panel<Scalar>& m, Index row) {
    return const_cast<Scalar*>(m.data()) + row * m.outerStride();
  }

  Index u_offset() const { return (1 + in_) * 3 * gate_; }
  Index c_offset() const { return u_offset() + (1 + out_) * 3 * gate_; }
  Index u_reverse_offset() const { return 3 * gate_ * panel_columns<Scalar>(in_); }

  Index in_;
  Index out_;
  Index gate_;  // columns of a gate
};

}  // namespace trpo_fast
