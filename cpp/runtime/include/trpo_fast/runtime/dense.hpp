// Dense: y = activation(b + W x) for one x. Weights are kept in panels of as many outputs as four registers hold: per
// input the weights of the panel's outputs, so that a step is a broadcast and up to four multiplications of registers.
#pragma once

#include <cstddef>

#include "activation.hpp"
#include "lanes.hpp"

namespace trpo_fast::runtime {

constexpr int kPanelRegisters = 4;

// f(first output, registers of the panel as a constant), panel after panel
template <class Function>
void for_each_panel(int num_outputs, Function&& f) {
  int begin = 0;
  for (; num_outputs - begin > 2 * kLanes; begin += kPanelRegisters * kLanes) {
    f(begin, std::integral_constant<int, kPanelRegisters>{});
  }
  for (; num_outputs - begin > kLanes; begin += 2 * kLanes) f(begin, std::integral_constant<int, 2>{});
  if (num_outputs > begin) f(begin, std::integral_constant<int, 1>{});
}

// Outputs with those of the padding: what packed weights, biases and outputs have room for.
inline int padded_outputs(int num_outputs) {
  int end = 0;
  for_each_panel(num_outputs, [&](int begin, auto registers) { end = begin + registers * kLanes; });
  return end;
}

// weight (outputs, inputs), row-major, to panels; padding is left alone: 0
inline void pack(const float* weight, int num_outputs, int num_inputs, float* packed) {
  for_each_panel(num_outputs, [&](int begin, auto registers) {
    const int width = registers * kLanes;
    for (int k = 0; k < num_inputs; ++k) {
      for (int o = begin; o < begin + width && o < num_outputs; ++o) {
        packed[k * width + o - begin] = weight[o * num_inputs + k];
      }
    }
    packed += num_inputs * width;
  });
}

// One panel. A sum is kept in as many parts as hide the latency of a fused multiply-add.
template <Activation kActivation, int kRegisters>
void multiply_panel(const float* packed, const float* bias, const float* x, int num_inputs, float* y) {
  constexpr int kParts = 8 / kRegisters;
  Lanes sums[kParts][kRegisters] = {};
  TRPO_FAST_RUNTIME_UNROLL
  for (int r = 0; r < kRegisters; ++r) sums[0][r] = load(bias + r * kLanes);
  const auto add = [&](int k, Lanes(&sum)[kRegisters]) {
    const Lanes x_k = Lanes{} + x[k];
    TRPO_FAST_RUNTIME_UNROLL
    for (int r = 0; r < kRegisters; ++r) sum[r] += x_k * load(packed + (k * kRegisters + r) * kLanes);
  };
  int k = 0;
  for (; k + kParts <= num_inputs; k += kParts) {
    TRPO_FAST_RUNTIME_UNROLL
    for (int part = 0; part < kParts; ++part) add(k + part, sums[part]);
  }
  for (; k < num_inputs; ++k) add(k, sums[0]);
  TRPO_FAST_RUNTIME_UNROLL
  for (int r = 0; r < kRegisters; ++r) {
    Lanes sum = sums[0][r];
    TRPO_FAST_RUNTIME_UNROLL
    for (int part = 1; part < kParts; ++part) sum += sums[part][r];
    store(activate<kActivation>(sum), y + r * kLanes);
  }
}

// y = activation(b + W x), and zeros or what they become for padding
inline void multiply(Activation activation, const float* packed,  // panels
                     const float* bias,                           // (padded_outputs)
                     const float* x,                              // (num_inputs)
                     int num_inputs, int num_outputs,
                     float* y  // (padded_outputs)
) {
  with_activation(activation, [&](auto kind) {
    for_each_panel(num_outputs, [&](int begin, auto registers) {
      multiply_panel<kind(), registers()>(packed + static_cast<std::ptrdiff_t>(begin) * num_inputs, bias + begin, x,
                                          num_inputs, y + begin);
    });
  });
}

}  // namespace trpo_fast::runtime
