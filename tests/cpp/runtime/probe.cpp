// What the runtime makes of files, for tests in Python.
//
//   probe              of contents, as below; policies fall back on the last action
//   probe zero         the same, and they fall back on zero
//   probe load PATH    the status of loading a file, as a number, the most memory used, in kB, and the message
//   probe names PATH   what the file says of the numbers of its policy, a field a line, with tabs between items
//   probe views PATH   the statuses of acting on images of a policy that do not fit it, in words
//
// Standard input, again and again: size and bytes of a file, number of observations, and for each its numbers, its
// noise and the planes of its images, if the file is a policy. Standard output: the load's status; of a policy its
// sizes, and for each observation the status of act() and its action, then those of sample().
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "trpo_fast/policy.hpp"

using namespace trpo_fast::runtime;

namespace {

template <class T>
bool read(T* to, std::size_t n) {
  return std::fread(to, sizeof(T), n, stdin) == n;
}

template <class T>
void write(const T* from, std::size_t n) {
  std::fwrite(from, sizeof(T), n, stdout);
}

void write_result(ActStatus status, const float* action, std::size_t action_size) {
  const auto number = static_cast<std::int32_t>(status);
  write(&number, 1);
  write(action, action_size);
}

// The most memory that this process ever had, in kB; 0 where the system does not say.
int peak_memory() {
  int peak = 0;
  char line[256];
  std::FILE* status = std::fopen("/proc/self/status", "r");
  while (status != nullptr && std::fgets(line, sizeof line, status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %d", &peak) == 1) break;
  }
  if (status != nullptr) std::fclose(status);
  return peak;
}

// The images of an observation, in memory that is filled from the input or laid out in one of the ways that a view
// knows.
class Images {
 public:
  explicit Images(const Policy& policy) {
    for (int i = 0; i < policy.num_images(); ++i) {
      const ImageSize size = policy.image_size(i);
      sizes_.push_back(size);
      pixels_.emplace_back(static_cast<std::size_t>(size.channels) * num_pixels(size));
    }
    others_ = pixels_;
  }

  bool fill() {
    for (auto& pixels : pixels_) {
      if (!read(pixels.data(), pixels.size())) return false;
    }
    return true;
  }

  std::vector<ImageView> as_planar() const {
    std::vector<ImageView> views;
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      views.push_back(planar(pixels_[i].data(), sizes_[i].channels, sizes_[i].height, sizes_[i].width));
    }
    return views;
  }

  std::vector<ImageView> as_interleaved() {
    std::vector<ImageView> views;
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      const auto channels = static_cast<std::size_t>(sizes_[i].channels);
      for (std::size_t j = 0; j < pixels_[i].size(); ++j) {
        others_[i][j % num_pixels(sizes_[i]) * channels + j / num_pixels(sizes_[i])] = pixels_[i][j];
      }
      views.push_back(interleaved(others_[i].data(), sizes_[i].channels, sizes_[i].height, sizes_[i].width));
    }
    return views;
  }

  std::vector<ImageView> as_frames() {
    std::vector<ImageView> views;
    planes_.assign(sizes_.size(), {});
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      for (int c = 0; c < sizes_[i].channels; ++c) {
        planes_[i].push_back(pixels_[i].data() + static_cast<std::size_t>(c) * num_pixels(sizes_[i]));
      }
      views.push_back(frames(planes_[i].data(), sizes_[i].channels, sizes_[i].height, sizes_[i].width));
    }
    return views;
  }

 private:
  static std::size_t num_pixels(const ImageSize& size) {
    return static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
  }

  std::vector<ImageSize> sizes_;
  std::vector<std::vector<std::uint8_t>> pixels_, others_;
  std::vector<std::vector<const std::uint8_t*>> planes_;
};

// A line for each way in which images may not fit; the last one is of images that do.
int act_on_unfit_images(Policy policy) {
  const Images images(policy);
  const std::vector<ImageView> fit = images.as_planar();
  const std::vector<float> observation(static_cast<std::size_t>(policy.observation_size()) + 1, 1.0f);
  std::vector<float> action(static_cast<std::size_t>(policy.action_size()));
  const auto print = [&](const char* what, ActStatus status) { std::printf("%s: %s\n", what, to_string(status)); };
  const auto act = [&](const char* what, const std::vector<ImageView>& views) {
    print(what, policy.act(observation.data(), views.data(), views.size(), action.data()));
  };
  const auto changed = [&](auto&& change) {
    std::vector<ImageView> views = fit;
    change(views.back());
    return views;
  };
  std::vector<ImageView> more = fit;
  more.push_back(fit.back());
  const std::vector<const std::uint8_t*> planes(static_cast<std::size_t>(fit.back().size.channels), nullptr);
  act("fewer", {fit.begin(), fit.end() - 1});
  act("more", more);
  act("height", changed([](ImageView& view) { ++view.size.height; }));
  act("width", changed([](ImageView& view) { --view.size.width; }));
  act("channels", changed([](ImageView& view) { ++view.size.channels; }));
  act("no pixels", changed([](ImageView& view) { view.pixels = nullptr; }));
  act("no plane", changed([&](ImageView& view) { view.planes = planes.data(); }));
  print("no images", policy.act(observation.data(), action.data()));
  print("no numbers", policy.act(nullptr, fit.data(), fit.size(), action.data()));
  print("one image", policy.act(fit.front(), action.data()));
  act("fit", fit);
  return 0;
}

int print_names(const Policy& policy) {
  const auto print_texts = [](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) std::printf("%s\t", text.c_str());
    std::puts("");
  };
  const Interface& described = policy.description();
  print_texts(policy.observation_names());
  print_texts(described.observation_units);
  print_texts(policy.action_names());
  print_texts(described.action_units);
  for (const auto* values : {&described.action_scale, &described.action_offset}) {
    for (const double value : *values) std::printf("%.17g\t", value);
    std::puts("");
  }
  std::printf("%.17g\n%s\n%d\n", described.control_period, described.environment.c_str(),
              static_cast<int>(described.frame_stack));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "names") == 0) return print_names(*load_policy(argv[2]).policy);
  if (argc == 3 && std::strcmp(argv[1], "views") == 0) return act_on_unfit_images(*load_policy(argv[2]).policy);
  if (argc == 3) {
    const LoadProblem problem = load_policy(argv[2]).problem;
    std::printf("%d %d %s\n", static_cast<int>(problem.status), peak_memory(), problem.message.c_str());
    return 0;
  }
  const Fallback fallback = argc == 2 && std::strcmp(argv[1], "zero") == 0 ? Fallback::zero : Fallback::hold_last;
  std::uint64_t size = 0, num_observations = 0;
  while (read(&size, 1)) {
    std::vector<char> content(size);  // without the 0 that is behind a string
    if (!read(content.data(), size) || !read(&num_observations, 1)) return 1;
    LoadedPolicy loaded = load_policy(content.data(), content.size(), fallback);
    const auto status = static_cast<std::int32_t>(loaded.problem.status);
    write(&status, 1);
    if (loaded.policy) {
      const std::int32_t sizes[] = {loaded.policy->observation_size(), loaded.policy->action_size()};
      write(sizes, 2);
      const auto observation_size = static_cast<std::size_t>(sizes[0]),
                 action_size = static_cast<std::size_t>(sizes[1]);
      Policy for_batches = *loaded.policy;
      std::vector<float> observations(num_observations * observation_size), actions(num_observations * action_size);
      std::vector<float> noise(action_size), sampled(action_size), again(action_size);
      Images images(*loaded.policy);
      Policy other = *loaded.policy;  // which sees the same images in other layouts
      std::size_t num_ok = 0;
      for (std::size_t i = 0; i < num_observations; ++i) {
        float* observation = observations.data() + i * observation_size;
        float* action = actions.data() + i * action_size;
        if (!read(observation, observation_size) || !read(noise.data(), action_size) || !images.fill()) return 1;
        const std::vector<ImageView> views = images.as_planar(),
                                     others[] = {images.as_interleaved(), images.as_frames()};
        const ActStatus acted = loaded.policy->act(observation, views.data(), views.size(), action);
        write_result(acted, action, action_size);
        for (const std::vector<ImageView>& layout : others) {
          if (other.act(observation, layout.data(), layout.size(), again.data()) != acted) return 1;
          if (acted == ActStatus::ok && !std::equal(again.begin(), again.end(), action)) return 1;
        }
        const ActStatus drawn =
            loaded.policy->sample(observation, views.data(), views.size(), noise.data(), sampled.data());
        write_result(drawn, sampled.data(), action_size);
        num_ok += acted == ActStatus::ok ? 1 : 0;
      }
      if (loaded.policy->num_images() > 0) continue;
      // a copy, asked for all of them at once, must have the same actions, where they are no fallbacks
      std::vector<float> batch(actions.size());
      if (for_batches.act_batch(observations.data(), num_observations, batch.data()) != num_ok) return 1;
      if (num_ok == num_observations && batch != actions) return 1;
    }
  }
  return 0;
}
