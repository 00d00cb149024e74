// Dense: y = activation(b + W x) for one x.
//
// Parameters are kept in panels of 64, 32 or 16 outputs: an input after the other the weights of the panel's outputs,
// and last their biases; zeros for outputs that fill a panel up. A step is then a broadcast and a few multiplications
// of whole registers that lie side by side, on every machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "../common/unroll.hpp"
#include "activation.hpp"
#include "lanes.hpp"

namespace trpo_fast::runtime {

constexpr int kPadding = 16;  // outputs: the narrowest panel, and a multiple of every kLanes

constexpr int padded(int n) { return (n + kPadding - 1) / kPadding * kPadding; }

// Of a layer, in panels.
constexpr std::ptrdiff_t num_parameters(int num_inputs, int num_outputs) {
  return (std::ptrdiff_t{num_inputs} + 1) * padded(num_outputs);
}

// f(first output, width as a constant), panel after panel
template <class Function>
void for_each_panel(int num_outputs, Function&& f) {
  int begin = 0;
  const auto panel = [&](auto width) {
    f(begin, width);
    begin += width;
  };
  while (num_outputs - begin > 48) panel(std::integral_constant<int, 64>{});
  if (num_outputs - begin > 16) panel(std::integral_constant<int, 32>{});
  if (num_outputs - begin > 0) panel(std::integral_constant<int, 16>{});
}

// A panel, as many outputs at a time as registers hold. A sum is kept in as many parts as hide the latency of a fused
// multiply-add.
template <Activation kActivation, int kWidth>
void multiply_panel(const float* parameters,  // (num_inputs + 1, kWidth)
                    const float* x, int num_inputs, float* y) {
  constexpr int kMost = 8;
  constexpr int kRegisters = (std::min)(kWidth / kLanes, kMost);
  constexpr int kParts = kMost / kRegisters;
  for (int begin = 0; begin < kWidth; begin += kRegisters * kLanes) {
    const auto row = [&](std::ptrdiff_t k, int r) { return load(parameters + k * kWidth + begin + r * kLanes); };
    Lanes sums[kParts][kRegisters] = {};
    TRPO_FAST_UNROLL
    for (int r = 0; r < kRegisters; ++r) sums[0][r] = row(num_inputs, r);
    const auto add = [&](int k, Lanes(&sum)[kRegisters]) {
      TRPO_FAST_UNROLL
      for (int r = 0; r < kRegisters; ++r) sum[r] += x[k] * row(k, r);
    };
    int k = 0;
    for (; k + kParts <= num_inputs; k += kParts) {
      TRPO_FAST_UNROLL
      for (int part = 0; part < kParts; ++part) add(k + part, sums[part]);
    }
    for (; k < num_inputs; ++k) add(k, sums[0]);
    TRPO_FAST_UNROLL
    for (int r = 0; r < kRegisters; ++r) {
      Lanes sum = sums[0][r];
      TRPO_FAST_UNROLL
      for (int part = 1; part < kParts; ++part) sum += sums[part][r];
      store(activate<kActivation>(sum), y + begin + r * kLanes);
    }
  }
}

// y = activation(b + W x), and what padding becomes
template <Activation kActivation>
void multiply(const float* parameters,  // (num_parameters(num_inputs, num_outputs))
              const float* x,           // (num_inputs)
              int num_inputs, int num_outputs,
              float* y  // (padded(num_outputs))
) {
  for_each_panel(num_outputs, [&](int begin, auto width) {
    const float* panel = parameters + num_parameters(num_inputs, begin);
    multiply_panel<kActivation, width()>(panel, x, num_inputs, y + begin);
  });
}

// weight (outputs, inputs), row-major, and bias (outputs) into panels; padding is left alone: 0
template <class Numbers>
void pack(const Numbers& weight, const Numbers& bias, int num_inputs, int num_outputs, float* parameters) {
  for_each_panel(num_outputs, [&](int begin, auto width) {
    float* panel = parameters + num_parameters(num_inputs, begin);
    for (int o = begin; o < (std::min)(begin + width, num_outputs); ++o) {
      const auto row = static_cast<std::size_t>(o) * static_cast<std::size_t>(num_inputs);
      for (std::ptrdiff_t k = 0; k < num_inputs; ++k) {
        panel[k * width + o - begin] = weight[row + static_cast<std::size_t>(k)];
      }
      panel[std::ptrdiff_t{num_inputs} * width + o - begin] = bias[static_cast<std::size_t>(o)];
    }
  });
}

}  // namespace trpo_fast::runtime
