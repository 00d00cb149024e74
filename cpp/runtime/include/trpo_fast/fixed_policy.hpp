// FixedPolicy: a policy whose sizes and numbers are constants, for small boards: no heap, no exceptions, no RTTI, no
// file. `trpo-fast export MODEL --format cpp` writes the constants, a `Spec`:
//
//   #include "hopper.hpp"
//   hopper_policy policy;                 // trpo_fast::runtime::FixedPolicy<hopper_spec>
//   policy.act(observation, action);
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "runtime/acting.hpp"
#include "runtime/dense.hpp"
#include "runtime/nonblocking.hpp"

namespace trpo_fast::runtime {

// As Policy: what comes out is finite and in the action space, whatever comes in; one thread at a time.
//
// Spec has kSizes (of an observation without its mask, of layers), kMaskSize, kActivation, kParameters (of each layer
// in panels, as multiply() wants them), kMeanHigh, kMeanLow and kInvStd (zeros behind, up to a multiple of kPadding),
// kClip, and as ActionSpace kActionKind, kActionSize, kLow, kHigh, kSquash, kStd, kNumChoices, kFirst.
template <class Spec>
class FixedPolicy {
 public:
  static constexpr int kActionSize = Spec::kActionSize;
  static constexpr int kMaskSize = Spec::kMaskSize;
  static constexpr int kObservationSize = Spec::kSizes.front() + kMaskSize;

  explicit FixedPolicy(Fallback fallback = Fallback::hold_last) : fallback_(fallback) {
    zero_action(kSpace, row_.data());
  }

  ActStatus act(const float* observation, float* action) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, nullptr, action);
  }

  ActStatus sample(const float* observation, const float* noise, float* action) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, noise, action);
  }

 private:
  static constexpr std::size_t kNumLayers = Spec::kSizes.size() - 1;
  static constexpr auto kWidth = static_cast<std::size_t>(  // the most numbers in a layer, and room for whole registers
      padded(*std::max_element(Spec::kSizes.begin(), Spec::kSizes.end())));
  static constexpr ActionSpace kSpace{Spec::kActionKind,       Spec::kActionSize,
                                      Spec::kLow.data(),       Spec::kHigh.data(),
                                      Spec::kSquash,           Spec::kStd.empty() ? nullptr : Spec::kStd.data(),
                                      Spec::kNumChoices.data()};
  static constexpr Normalizer kNormalizer{Spec::kMeanHigh.data(), Spec::kMeanLow.data(), Spec::kInvStd.data(),
                                          Spec::kClip};

  using Values = std::array<float, kWidth>;

  ActStatus step(const float* observation, const float* noise, float* action) noexcept {
    const Acting acting{kNormalizer, Spec::kSizes.front(), kMaskSize > 0, kSpace, Spec::kFirst.data(), fallback_};
    const auto forward = [this](const float* input) {
      std::copy(input, input + kWidth, values_[0].data());
      forward_layers(std::make_index_sequence<kNumLayers>{});
      return values_[kNumLayers % 2].data();
    };
    return runtime::act(acting, observation, noise, input_.data(), forward, row_.data(), action);
  }

  template <std::size_t... kLayers>
  void forward_layers(std::index_sequence<kLayers...>) {
    (forward_layer<kLayers>(), ...);
  }

  template <std::size_t kLayer>
  void forward_layer() {
    constexpr Activation kActivation = kLayer + 1 < kNumLayers ? Spec::kActivation : Activation::identity;
    multiply<kActivation>(Spec::kParameters.data() + offset(kLayer), values_[kLayer % 2].data(), Spec::kSizes[kLayer],
                          Spec::kSizes[kLayer + 1], values_[(kLayer + 1) % 2].data());
  }

  static constexpr std::ptrdiff_t offset(std::size_t layer) {
    std::ptrdiff_t sum = 0;
    for (std::size_t i = 0; i < layer; ++i) sum += num_parameters(Spec::kSizes[i], Spec::kSizes[i + 1]);
    return sum;
  }

  Fallback fallback_;
  alignas(Lanes) Values input_{};
  alignas(Lanes) std::array<Values, 2> values_{};
  std::array<float, kActionSize> row_{};
};

}  // namespace trpo_fast::runtime
