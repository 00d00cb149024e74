// RegisterBlock: Rows x Packets accumulators that stay in registers while a product A B is added to them.
#pragma once

#include "packets.hpp"

namespace trpo_fast {

// An element is the sum of Chains partial sums: term k of a product is added to sum k mod Chains. With few rows,
// several of them hide the latency of an addition.
template <class Packet, int Rows, int Packets, int Chains = 1>
class RegisterBlock {
 public:
  using Scalar = Element<Packet>;

  // every row = row, or 0 where row is null
  void set_rows(const Scalar* row) {
    const Packet zero = simd::pset1<Packet>(Scalar(0));
    TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
      const Packet value = row != nullptr ? simd::ploadu<Packet>(row + j * kLanes<Packet>) : zero;
      TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
        c_[0][i][j] = value;
        TRPO_FAST_UNROLL for (int chain = 1; chain < Chains; ++chain) c_[chain][i][j] = zero;
      }
    }
  }

  // the first partial sum of each element = c
  void load(const Scalar* c, Index stride) {
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
        c_[0][i][j] = simd::ploadu<Packet>(c + i * stride + j * kLanes<Packet>);
        TRPO_FAST_UNROLL for (int chain = 1; chain < Chains; ++chain) c_[chain][i][j] = simd::pset1<Packet>(Scalar(0));
      }
    }
  }

  // C += A B over `depth` terms, in order: A(i, k) = a[i a_row + k a_step], row k of B begins at b + k b_step
  EIGEN_ALWAYS_INLINE void accumulate(const Scalar* a, Index a_row, Index a_step, const Scalar* b, Index b_step,
                                      Index depth) {
    Index k = 0;
    for (; k + Chains <= depth; k += Chains) {
      TRPO_FAST_UNROLL for (int chain = 0; chain < Chains; ++chain) {
        add_term(chain, a, a_row, b);
        a += a_step;
        b += b_step;
      }
    }
    TRPO_FAST_UNROLL for (int chain = 0; chain < Chains - 1; ++chain) {
      if (k + chain < depth) add_term(chain, a + chain * a_step, a_row, b + chain * b_step);
    }
  }

  // each packet = f(packet, row, first column)
  template <class Function>
  EIGEN_ALWAYS_INLINE void map(Function&& f) {
    static_assert(Chains == 1, "elements that are complete are single sums");
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) c_[0][i][j] = f(c_[0][i][j], i, j * kLanes<Packet>);
    }
  }

  // packets of columns from c + i stride + j
  void store(Scalar* c, Index stride) const {
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
        simd::pstoreu(c + i * stride + j * kLanes<Packet>, element(i, j));
      }
    }
  }

 private:
  EIGEN_ALWAYS_INLINE void add_term(int chain, const Scalar* a, Index a_row, const Scalar* b) {
    Packet b_row[Packets];
    TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) b_row[j] = simd::ploadu<Packet>(b + j * kLanes<Packet>);
    TRPO_FAST_UNROLL for (int i = 0; i < Rows; ++i) {
      const Packet a_ik = simd::pset1<Packet>(a[i * a_row]);
      TRPO_FAST_UNROLL for (int j = 0; j < Packets; ++j) {
        c_[chain][i][j] = simd::pmadd(a_ik, b_row[j], c_[chain][i][j]);
      }
    }
  }

  EIGEN_ALWAYS_INLINE Packet element(int i, int j) const {
    if constexpr (Chains == 4) {
      return simd::padd(simd::padd(c_[0][i][j], c_[1][i][j]), simd::padd(c_[2][i][j], c_[3][i][j]));
    } else if constexpr (Chains == 2) {
      return simd::padd(c_[0][i][j], c_[1][i][j]);
    } else {
      return c_[0][i][j];
    }
  }

  Packet c_[Chains][Rows][Packets];
};

}  // namespace trpo_fast
