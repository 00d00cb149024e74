// RegisterBlock: Rows x Packets accumulators that stay in registers while they take in a product A B.
#pragma once

#include "packets.hpp"

namespace trpo_fast {

template <class Packet, int Rows, int Packets>
class RegisterBlock {
 public:
  using Scalar = Element<Packet>;

  // every row = row, or 0 where row is null
  void set_rows(const Scalar* row) {
    TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
      const Packet value =
          row != nullptr ? simd::ploadu<Packet>(row + j * kLanes<Packet>) : simd::pset1<Packet>(Scalar(0));
      TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) c_[i][j] = value;
    }
  }

  void load(const Scalar* c, Index stride) {
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
        c_[i][j] = simd::ploadu<Packet>(c + i * stride + j * kLanes<Packet>);
      }
    }
  }

  // C += A B over `depth` terms, in order: A(i, k) = a[i a_row + k a_step], row k of B begins at b + k b_step
  EIGEN_ALWAYS_INLINE void accumulate(const Scalar* a, Index a_row, Index a_step, const Scalar* b, Index b_step,
                                      Index depth) {
    for (Index k = 0; k < depth; ++k) {
      Packet b_row[Packets];
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) b_row[j] = simd::ploadu<Packet>(b + j * kLanes<Packet>);
      TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
        const Packet a_ik = simd::pset1<Packet>(a[i * a_row]);
        TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) c_[i][j] = simd::pmadd(a_ik, b_row[j], c_[i][j]);
      }
      a += a_step;
      b += b_step;
    }
  }

  // c(i, j) = f(accumulator, i, j), packets of columns from c + i stride + j
  template <class Function>
  void store(Scalar* c, Index stride, Function&& f) const {
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
        simd::pstoreu(c + i * stride + j * kLanes<Packet>, f(c_[i][j], Index(i), Index(j * kLanes<Packet>)));
      }
    }
  }

 private:
  Packet c_[Rows][Packets];
};

}  // namespace trpo_fast
