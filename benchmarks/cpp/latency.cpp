// One action at a time, as a control loop wants it: how long each call takes, and whether it allocates.
//
//   latency FILE CALLS < observation      one observation, float32
//
// Prints a line of JSON for each contender: its action, allocations in all calls, and quantiles of nanoseconds.
// Two controls are among the contenders: an empty loop, and a wait that takes as long as act() and touches no memory,
// which shows what the machine itself does to a call of that length. Compiled with the policy exported as policy.hpp.
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

// What somebody writes by hand on Eigen, with memory prepared, for a box or a single choice.
class ByEigen {
 public:
  explicit ByEigen(const ActingForm& form) : is_elu_(form.activation == Activation::elu) {
    mean_ = Eigen::Map<const Eigen::VectorXf>(form.mean_high.data(), form.num_features());
    inv_std_ = Eigen::Map<const Eigen::VectorXf>(form.inv_std.data(), form.num_features());
    if (form.action_kind == ActionKind::box) {
      low_ = Eigen::Map<const Eigen::VectorXf>(form.low.data(), form.action_size);
      high_ = Eigen::Map<const Eigen::VectorXf>(form.high.data(), form.action_size);
    }
    x_.push_back(mean_);
    for (const DenseParts& layer : form.layers) {
      const auto cols = static_cast<std::size_t>(layer.num_inputs);
      weight_.emplace_back(Eigen::MatrixXf::NullaryExpr(layer.num_outputs, layer.num_inputs, [&](auto i, auto k) {
        return layer.weight[static_cast<std::size_t>(i) * cols + static_cast<std::size_t>(k)];
      }));
      bias_.emplace_back(Eigen::VectorXf::NullaryExpr(layer.num_outputs,
                                                      [&](auto i) { return layer.bias[static_cast<std::size_t>(i)]; }));
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
    if (low_.size() > 0) {
      Eigen::Map<Eigen::VectorXf>(action, low_.size()) = x_.back().cwiseMax(low_).cwiseMin(high_);
    } else {
      Eigen::Index choice = 0;
      x_.back().maxCoeff(&choice);
      *action = static_cast<float>(choice);
    }
  }

 private:
  bool is_elu_;
  Eigen::VectorXf mean_, inv_std_, low_, high_;
  std::vector<Eigen::MatrixXf> weight_;
  std::vector<Eigen::VectorXf> bias_, x_;
};

constexpr std::size_t kTurns = 50;  // contenders alternate: what the machine does for a while, it does to all of them

template <class Act>
class Contender {
 public:
  Contender(const char* name, const std::vector<float>& observation, std::size_t action_size, std::size_t num_calls,
            Act act)
      : name_(name),
        act_(act),
        observation_(observation),
        first_(action_size),
        action_(action_size),
        nanoseconds_(num_calls) {
    act_(observation_.data(), first_.data());
    for (int i = 0; i < 100'000; ++i) act_(observation_.data(), action_.data());
  }

  void take_turn() {
    const long before = trpo_fast::tests::count_of_new();
    for (const std::size_t end = num_taken_ + nanoseconds_.size() / kTurns; num_taken_ < end; ++num_taken_) {
      const auto begin = Clock::now();
      act_(observation_.data(), action_.data());
      nanoseconds_[num_taken_] = static_cast<std::uint32_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
      observation_[0] += 0.0f * action_[0];  // each call waits for the one before
    }
    allocations_ += trpo_fast::tests::count_of_new() - before;
  }

  void report() {
    nanoseconds_.resize(num_taken_);
    std::sort(nanoseconds_.begin(), nanoseconds_.end());
    const auto quantile = [this](double q) {
      return nanoseconds_[static_cast<std::size_t>(q * static_cast<double>(nanoseconds_.size() - 1))];
    };
    std::printf("{\"contender\": \"%s\", \"lanes\": %d, \"calls\": %zu, \"allocations\": %ld, ", name_, kLanes,
                nanoseconds_.size(), allocations_);
    std::printf("\"p50\": %u, \"p99\": %u, \"p99.9\": %u, \"max\": %u, \"action\": [", quantile(0.5), quantile(0.99),
                quantile(0.999), nanoseconds_.back());
    for (const float& a : first_) std::printf("%s%.9g", &a == first_.data() ? "" : ", ", static_cast<double>(a));
    std::printf("]}\n");
  }

 private:
  const char* name_;
  Act act_;
  std::vector<float> observation_, first_, action_;
  std::vector<std::uint32_t> nanoseconds_;  // touched before it is needed: page faults are no part of this
  std::size_t num_taken_ = 0;
  long allocations_ = 0;
};

// Arithmetic that touches no memory, each step of which waits for the one before.
float chain(int num_links) {
  volatile float begin = 1.0f;
  float sum = begin;
  for (int i = 0; i < num_links; ++i) sum = sum * 0.5f + 0.5f;
  return sum;
}

template <class Function>
double median_nanoseconds(Function&& f) {
  std::vector<double> times(2001);
  for (double& time : times) {
    const auto begin = Clock::now();
    f();
    time = static_cast<double>(std::chrono::nanoseconds(Clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + 1000, times.end());
  return times[1000];
}

// A chain that takes as long as act().
int links_as_long_as(Policy& policy, const std::vector<float>& observation, std::size_t action_size) {
  std::vector<float> action(action_size);
  volatile float last = 0.0f;
  const auto act = [&] { policy.act(observation.data(), action.data()); };
  for (int i = 0; i < 100; ++i) median_nanoseconds(act);  // until the clock of the processor is up
  int num_links = 1;
  while (median_nanoseconds([&] { last = chain(num_links); }) < median_nanoseconds(act)) {
    num_links += std::max(1, num_links / 50);
  }
  return num_links;
}

template <class... Contenders>
void measure(Contenders... contenders) {
  for (std::size_t turn = 0; turn < kTurns; ++turn) (contenders.take_turn(), ...);
  (contenders.report(), ...);
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
  const std::size_t num_calls = std::strtoull(argv[2], nullptr, 10);

  const auto contender = [&](const char* name, auto act) {
    return Contender(name, observation, action_size, num_calls, act);
  };
  const auto empty = [](const float*, float* action) { *const_cast<volatile float*>(action) = 0.0f; };
  const auto by_policy = [&](const float* x, float* action) { dynamic.act(x, action); };
  const auto by_constants = [&](const float* x, float* action) { fixed.act(x, action); };
  std::string content;
  if (std::FILE* file = std::fopen(argv[1], "rb")) {
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) content += static_cast<char>(c);
    std::fclose(file);
  }
  PolicyFile file;
  ActingForm form;
  LoadProblem problem;
  if (!read_policy_file(content, file, problem) || !read_acting_form(file, form, problem)) return 1;
  ByEigen eigen(form);
  const auto by_eigen = [&](const float* x, float* action) { eigen.act(x, action); };
  const int num_links = links_as_long_as(dynamic, observation, action_size);
  const auto waiting = [num_links](const float*, float* action) { *action = chain(num_links); };
  measure(contender("empty loop", empty), contender("a wait as long", waiting),
          contender("trpo_fast Policy", by_policy), contender("trpo_fast FixedPolicy", by_constants),
          contender("Eigen by hand", by_eigen));
  return 0;
}
