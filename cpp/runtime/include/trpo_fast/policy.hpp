// Policy: a trained policy that acts, from its file. C++17 and the standard library alone; float32.
//
//   auto loaded = trpo_fast::runtime::load_policy("hopper.safetensors");
//   if (!loaded.policy) { std::puts(loaded.problem.message.c_str()); return 1; }
//   trpo_fast::runtime::Policy& policy = *loaded.policy;
//   policy.act(observation, action);   // every cycle of the control loop
//
// An observation is a row of numbers as the policy was trained on: a Box as it is, of other spaces what
// `gymnasium.spaces.flatten` makes, last the mask of a policy with action masks. Images are not in that row:
//
//   policy.act(trpo_fast::runtime::interleaved(camera, 3, 84, 84), action);
//
// takes uint8 pixels where they lie (runtime/image.hpp has planar(), interleaved() and frames()).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/acting.hpp"
#include "runtime/acting_form.hpp"
#include "runtime/aligned.hpp"
#include "runtime/image.hpp"
#include "runtime/interface.hpp"
#include "runtime/load_status.hpp"
#include "runtime/network.hpp"
#include "runtime/nonblocking.hpp"
#include "runtime/policy_file.hpp"
#include "runtime/read_content.hpp"

namespace trpo_fast::runtime {

// What acting does, and what it does not: no allocation, lock, exception or input and output; whatever comes in, what
// comes out is finite and in the action space. One thread at a time; copies are independent of each other.
class Policy {
 public:
  Policy(ActingForm form, Fallback fallback, Interface described = {});

  int observation_size() const { return num_features_ + mask_size_; }  // numbers in an observation, with a mask
  int mask_size() const { return mask_size_; }                         // of them, at the end, the mask
  int num_images() const { return network_.num_images(); }             // of an observation, beside the numbers
  ImageSize image_size(int i) const { return network_.image_size(i); }
  int action_size() const { return space().size; }  // numbers in an action, and in its noise
  ActionKind action_kind() const { return kind_; }

  // What the file says of these numbers, in the order of the network. Names are empty if it says nothing.
  const Interface& description() const { return interface_; }
  const std::vector<std::string>& observation_names() const { return interface_.observation_names; }
  const std::vector<std::string>& action_names() const { return interface_.action_names; }

  // The most probable action. Of choices and bits the numbers as floats, exact up to 2^24.
  ActStatus act(const float* observation,  // (observation_size)
                float* action              // (action_size)
                ) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, nullptr, 0, nullptr, action);
  }

  // The same for an observation with images, in the order of their space.
  ActStatus act(const float* observation,  // (observation_size); null if that is 0
                const ImageView* images,   // (num_images)
                std::size_t num_images,
                float* action  // (action_size)
                ) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, images, num_images, nullptr, action);
  }

  // The same for an observation that is one image.
  ActStatus act(const ImageView& image, float* action) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(nullptr, &image, 1, nullptr, action);
  }

  // The action that standard normal noise picks, as in Python.
  ActStatus sample(const float* observation,  // (observation_size)
                   const float* noise,        // (action_size)
                   float* action              // (action_size)
                   ) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, nullptr, 0, noise, action);
  }

  ActStatus sample(const float* observation,  // (observation_size); null if that is 0
                   const ImageView* images,   // (num_images)
                   std::size_t num_images,
                   const float* noise,  // (action_size)
                   float* action        // (action_size)
                   ) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    return step(observation, images, num_images, noise, action);
  }

  // The most probable actions for n observations without images; how many of them are no fallbacks. Fallbacks hold the
  // action of the row before.
  std::size_t act_batch(const float* observations,  // (n, observation_size)
                        std::size_t n,
                        float* actions  // (n, action_size)
                        ) noexcept TRPO_FAST_RUNTIME_NONBLOCKING {
    std::size_t num_ok = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto from = static_cast<std::ptrdiff_t>(i) * observation_size();
      num_ok += act(observations + from, actions + static_cast<std::ptrdiff_t>(i) * action_size()) == ActStatus::ok;
    }
    return num_ok;
  }

 private:
  ActionSpace space() const {
    return {kind_,   static_cast<int>(row_.size()),        low_.data(),        high_.data(),
            squash_, std_.empty() ? nullptr : std_.data(), num_choices_.data()};
  }

  ActStatus step(const float* observation, const ImageView* images, std::size_t num_images, const float* noise,
                 float* action) noexcept {
    const Normalizer normalizer{mean_high_.data(), mean_low_.data(), inv_std_.data(), clip_};
    const Acting acting{normalizer, num_features_, mask_size_ > 0, space(), first_.data(), fallback_};
    const auto forward = [&](float*) {
      return network_.are_images(images, num_images) ? network_.forward(images) : nullptr;
    };
    return runtime::act(acting, observation, noise, network_.inputs(), forward, row_.data(), action);
  }

  int num_features_, mask_size_;
  ActionKind kind_;
  bool squash_;
  Fallback fallback_;
  float clip_;
  AlignedFloats mean_high_, mean_low_, inv_std_;
  Network network_;
  std::vector<float> low_, high_, std_;
  std::vector<std::int32_t> num_choices_;
  std::vector<float> first_;  // of choices, added to their numbers; else 0
  std::vector<float> row_;    // the latest action row
  Interface interface_;
};

struct LoadedPolicy {
  std::optional<Policy> policy;  // nothing if there is a problem
  LoadProblem problem;
};

// The policy in a file's content, which is not kept.
inline LoadedPolicy load_policy(const void* content, std::size_t size, Fallback fallback = Fallback::hold_last) {
  LoadedPolicy loaded;
  PolicyFile file;
  ActingForm form;
  Interface described;
  if (read_policy_file({static_cast<const char*>(content), size}, file, loaded.problem) &&
      read_acting_form(file, form, loaded.problem) &&
      read_interface(file, form.network.num_features + form.mask_size, form.action_size, described, loaded.problem)) {
    loaded.policy.emplace(std::move(form), fallback, std::move(described));
  }
  return loaded;
}

// The policy in the file `path`, which trpo_fast saved.
inline LoadedPolicy load_policy(const std::string& path, Fallback fallback = Fallback::hold_last) {
  LoadedPolicy loaded;
  std::string content;
  if (read_content(path, content, loaded.problem)) return load_policy(content.data(), content.size(), fallback);
  return loaded;
}

inline Policy::Policy(ActingForm form, Fallback fallback, Interface described)
    : num_features_(form.network.num_features),
      mask_size_(form.mask_size),
      kind_(form.action_kind),
      squash_(form.squash),
      fallback_(fallback),
      clip_(form.clip),
      mean_high_(std::move(form.mean_high)),
      mean_low_(std::move(form.mean_low)),
      inv_std_(std::move(form.inv_std)),
      network_(form.network),
      low_(std::move(form.low)),
      high_(std::move(form.high)),
      std_(std::move(form.std)),
      num_choices_(std::move(form.num_choices)),
      first_(std::move(form.first)),
      row_(static_cast<std::size_t>(form.action_size)),
      interface_(std::move(described)) {
  zero_action(space(), row_.data());
}

}  // namespace trpo_fast::runtime
