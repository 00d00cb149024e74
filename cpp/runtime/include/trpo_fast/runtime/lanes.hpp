// Lanes: as many floats as a register of the machine that is compiled for holds, and functions of all of them at once.
// Compilers without vector extensions get one float, and so does who defines TRPO_FAST_RUNTIME_SCALAR.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../common/unroll.hpp"

// -ffast-math and its parts remove the checks for NaN and Inf that keep actions safe, and reorder what must not be.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(_M_FP_FAST) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "trpo_fast: compile without -ffast-math, -ffinite-math-only, -fassociative-math, -funsafe-math-optimizations"
#endif

namespace trpo_fast::runtime {

#if defined(__GNUC__) && !defined(TRPO_FAST_RUNTIME_SCALAR)
#define TRPO_FAST_RUNTIME_VECTORS
#if defined(__AVX512F__)
constexpr int kLaneBytes = 64;
#elif defined(__AVX__)
constexpr int kLaneBytes = 32;
#else
constexpr int kLaneBytes = 16;
#endif
using Lanes = float __attribute__((vector_size(kLaneBytes)));
using IntLanes = std::int32_t __attribute__((vector_size(kLaneBytes)));
#else
using Lanes = float;
#endif
using Flags = decltype(Lanes{} < Lanes{});
constexpr int kLanes = static_cast<int>(sizeof(Lanes) / sizeof(float));

inline Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline void store(const Lanes& x, float* to) { std::memcpy(to, &x, sizeof x); }

// a NaN in x stays
inline Lanes at_least(const Lanes& bound, const Lanes& x) { return x < bound ? bound : x; }
inline Lanes at_most(const Lanes& bound, const Lanes& x) { return x > bound ? bound : x; }

#if defined(TRPO_FAST_RUNTIME_VECTORS)

inline bool all(const Flags& flags) {
  bool result = true;
  for (int i = 0; i < kLanes; ++i) result = result && flags[i] != 0;
  return result;
}

// Within 6 units in the last place; +-1.0000001 at most. x P(x^2) / Q(x^2), whose relative error is least and greatest
// (1.5e-8) equally often over |x| < 8.7; beyond, tanh is 1 in float.
inline Lanes tanh(const Lanes& x) {
  const Lanes z = at_most(Lanes{} + 8.7f, at_least(Lanes{} - 8.7f, x));
  const Lanes t = z * z;
  const Lanes p =
      (((1.389761846e-08f * t + 2.099382225e-05f) * t + 3.518743282e-03f) * t + 1.340046600e-01f) * t + 1.0f;
  const Lanes q =
      (((7.996521854e-07f * t + 3.323646852e-04f) * t + 2.596489095e-02f) * t + 4.673378623e-01f) * t + 1.0f;
  return z * p / q;
}

// Within 2 units in the last place for |x| < 87; beyond, the value there. x = n log 2 + r, exp(x) = 2^n exp(r)
// (Moshier, Cephes, expf.c).
inline Lanes exp(const Lanes& x) {
  const Lanes z = at_most(Lanes{} + 87.0f, at_least(Lanes{} - 87.0f, x));
  const Lanes rounder = Lanes{} + 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  const Lanes shifted = z * 1.44269504f + rounder;
  const Lanes n = shifted - rounder;
  const Lanes r = (z - n * 0.693359375f) - n * -2.12194440e-4f;
  const Lanes p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r +
                   1.6666665459e-1f) *
                      r +
                  5.0000001201e-1f;
  IntLanes bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127 << 23);  // 2^n: the last bits of `shifted` are n
  Lanes power;
  std::memcpy(&power, &bits, sizeof power);
  return (p * r * r + r + 1.0f) * power;
}

#else

inline bool all(bool flag) { return flag; }
inline float tanh(float x) { return std::tanh(x); }
inline float exp(float x) { return std::exp(x); }

#endif

}  // namespace trpo_fast::runtime
