// Any bytes as a policy file: as they are, and with their checksum put right, so that what lies behind it is reached.
// For libFuzzer; CONTRIBUTING.md has the commands.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "trpo_fast/policy.hpp"

using namespace trpo_fast::runtime;

namespace {

// The content with 64 digits, where a digest stands, replaced by the right ones.
std::string signed_again(std::string content) {
  static const std::string kBefore = "\\\"sha256\\\":\\\"";
  const std::size_t found = content.find(kBefore);
  const std::size_t begin = found + kBefore.size();
  if (found == std::string::npos || content.size() < begin + 64) return content;
  content.replace(begin, 64, 64, '0');
  Sha256 sum;
  sum.add(reinterpret_cast<const unsigned char*>(content.data()), content.size());
  return content.replace(begin, 64, sum.hex_digest());
}

// What a file says of its actions.
ActingForm form_of(const std::string& content) {
  PolicyFile file;
  ActingForm form;
  LoadProblem problem;
  if (!read_policy_file(content, file, problem) || !read_acting_form(file, form, problem)) std::abort();
  return form;
}

// Whether `action` is one of those.
bool is_possible(const ActingForm& form, const std::vector<float>& action) {
  for (std::size_t j = 0; j < action.size(); ++j) {
    float low = 0.0f, high = 1.0f;
    if (form.action_kind == ActionKind::box) {
      low = form.low[j], high = form.high[j];
    } else if (form.action_kind == ActionKind::choices) {
      low = form.first[j], high = low + static_cast<float>(form.num_choices[j] - 1);
    }
    const bool is_whole = form.action_kind == ActionKind::box || action[j] == std::floor(action[j]);
    if (!std::isfinite(action[j]) || !is_whole || action[j] < low || action[j] > high) return false;
  }
  return true;
}

void load_and_act(const std::string& content) {
  const std::vector<char> exact(content.begin(), content.end());  // a string has a 0 behind it that may be read
  LoadedPolicy loaded = load_policy(exact.data(), exact.size());
  if (loaded.policy.has_value() != (loaded.problem.status == LoadStatus::ok)) std::abort();
  if (!loaded.policy) return;
  const ActingForm form = form_of(content);
  std::vector<float> observation(static_cast<std::size_t>(loaded.policy->observation_size()), 1.0f);
  std::vector<float> action(static_cast<std::size_t>(loaded.policy->action_size()));
  const std::vector<float> noise(action.size(), 0.5f);
  std::vector<std::vector<std::uint8_t>> pixels;
  std::vector<ImageView> images;
  for (const ImageForm& image : form.network.images) {
    const auto [channels, height, width] = image.size;
    pixels.emplace_back(static_cast<std::size_t>(channels * height * width), std::uint8_t{128});
    images.push_back(planar(pixels.back().data(), channels, height, width));
  }
  loaded.policy->sample(observation.data(), images.data(), images.size(), noise.data(), action.data());
  if (!is_possible(form, action)) std::abort();
  if (observation.empty()) return;
  observation.front() = std::numeric_limits<float>::quiet_NaN();
  if (loaded.policy->act(observation.data(), images.data(), images.size(), action.data()) == ActStatus::ok)
    std::abort();
  if (!is_possible(form, action)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  load_and_act(content);
  load_and_act(signed_again(content));
  return 0;
}
