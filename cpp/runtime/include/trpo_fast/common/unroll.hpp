// TRPO_FAST_UNROLL, before a loop over registers: it must be unrolled, or the registers are stored in memory.
#pragma once

#if defined(__clang__)
#define TRPO_FAST_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define TRPO_FAST_UNROLL _Pragma("GCC unroll 16")
#else
#define TRPO_FAST_UNROLL
#endif
