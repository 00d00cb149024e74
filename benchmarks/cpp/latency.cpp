// One action at a time, as a control loop wants it: how long each call takes, and whether it allocates.
//
//   latency FILE CALLS < observation      one observation, float32
//
// Prints a line of JSON for each contender: its action, allocations in all calls, and quantiles of nanoseconds a call,
// with those of an empty loop beside them. Compiled with the policy exported to C++ as policy.hpp.
#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "counted_new.hpp"
#include "policy.hpp"
#include "trpo_fast/policy.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using namespace trpo_fast::runtime;

// What somebody writes by hand on Eigen, with memory prepared.
class ByEigen {
 public:
  explicit ByEigen(const PolicyParts& parts) : is_elu_(parts.activation == Activation::elu) {
    const Eigen::Map<const Eigen::VectorXd> mean(parts.mean.data(), parts.num_features);
    const Eigen::Map<const Eigen::VectorXd> var(parts.var.data(), parts.num_features);
    mean_ = mean.cast<float>();
    inv_std_ = (var.array() + 1e-8).rsqrt().cast<float>();
    low_ = Eigen::Map<const Eigen::VectorXf>(parts.low.data(), parts.action_size);
    high_ = Eigen::Map<const Eigen::VectorXf>(parts.high.data(), parts.action_size);
    x_.push_back(mean_);
    for (const DenseParts& layer : parts.layers) {
      using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
      weight_.emplace_back(Eigen::Map<const RowMajor>(layer.weight.data(), layer.num_outputs, layer.num_inputs));
      bias_.emplace_back(Eigen::Map<const Eigen::VectorXf>(layer.bias.data(), layer.num_outputs));
      x_.push_back(bias_.back());
    }
  }

  void act(const float* observation, float* action) {
    const Eigen::Map<const Eigen::VectorXf> raw(observation, mean_.size());
    x_[0] = ((raw - mean_).array() * inv_std_.array()).cwiseMax(-10.0f).cwiseMin(10.0f);
    for (std::size_t i = 0; i < weight_.size(); ++i) {
      x_[i + 1] = bias_[i];
      x_[i + 1].noalias() += weight_[i] * x_[i];
      if (i + 1 == weight_.size()) break;
      auto z = x_[i + 1].array();
      if (is_elu_) {
        z = (z > 0.0f).select(z, z.cwiseMin(0.0f).exp() - 1.0f);
      } else {
        z = z.tanh();
      }
    }
    Eigen::Map<Eigen::VectorXf>(action, low_.size()) = x_.back().cwiseMax(low_).cwiseMin(high_);
  }

 private:
  bool is_elu_;
  Eigen::VectorXf mean_, inv_std_, low_, high_;
  std::vector<Eigen::MatrixXf> weight_;
  std::vector<Eigen::VectorXf> bias_, x_;
};

template <class Act>
void measure(const char* name, std::vector<float> observation, std::size_t action_size,
             std::vector<std::uint32_t>& nanoseconds, Act&& act) {
  std::vector<float> action(action_size), first(action_size);
  act(observation.data(), first.data());
  for (int i = 0; i < 100'000; ++i) act(observation.data(), action.data());
  const long before = trpo_fast::tests::count_of_new();
  for (std::uint32_t& taken : nanoseconds) {
    const auto begin = Clock::now();
    act(observation.data(), action.data());
    taken = static_cast<std::uint32_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
    observation[0] += 0.0f * action[0];  // each call waits for the one before
  }
  const long allocations = trpo_fast::tests::count_of_new() - before;
  std::sort(nanoseconds.begin(), nanoseconds.end());
  const auto quantile = [&](double q) {
    return nanoseconds[static_cast<std::size_t>(q * static_cast<double>(nanoseconds.size() - 1))];
  };
  std::printf(
      "{\"contender\": \"%s\", \"lanes\": %d, \"calls\": %zu, \"allocations\": %ld, \"p50\": %u, \"p99\": %u, "
      "\"p99.9\": %u, "
      "\"max\": %u, \"action\": [",
      name, kLanes, nanoseconds.size(), allocations, quantile(0.5), quantile(0.99), quantile(0.999),
      nanoseconds.back());
  for (std::size_t i = 0; i < action_size; ++i) std::printf("%s%.9g", i > 0 ? ", " : "", static_cast<double>(first[i]));
  std::printf("]}\n");
}

}  // namespace

int main(int, char** argv) {
  LoadedPolicy loaded = load_policy(argv[1]);
  if (!loaded.policy) {
    std::fprintf(stderr, "%s\n", loaded.problem.message.c_str());
    return 1;
  }
  Policy& dynamic = *loaded.policy;
  policy_policy fixed;
  std::vector<float> observation(static_cast<std::size_t>(dynamic.observation_size()));
  if (std::fread(observation.data(), sizeof(float), observation.size(), stdin) != observation.size()) return 1;
  const auto action_size = static_cast<std::size_t>(dynamic.action_size());
  std::vector<std::uint32_t> nanoseconds(std::strtoull(argv[2], nullptr, 10));

  const auto ask = [&](const char* name, auto&& act) { measure(name, observation, action_size, nanoseconds, act); };
  ask("empty loop", [](const float*, float* action) { *const_cast<volatile float*>(action) = 0.0f; });
  ask("trpo_fast Policy", [&](const float* x, float* action) { dynamic.act(x, action); });
  ask("trpo_fast FixedPolicy", [&](const float* x, float* action) { fixed.act(x, action); });
  if (dynamic.action_kind() == ActionKind::box) {
    std::string content;
    if (std::FILE* file = std::fopen(argv[1], "rb")) {
      for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) content += static_cast<char>(c);
      std::fclose(file);
    }
    PolicyFile file;
    PolicyParts parts;
    LoadProblem problem;
    if (!read_policy_file(content, file, problem) || !read_policy_parts(file, parts, problem)) return 1;
    ByEigen by_eigen(parts);
    ask("Eigen by hand", [&](const float* x, float* action) { by_eigen.act(x, action); });
  }
  return 0;
}
