// One action at a time, without Python: reads the problem from standard input, writes the action and its times.
//
// Input: observation size, hidden width, action size and number of turns (int32), theta (float32), one raw observation
// (float64). Output: the most probable action (float32), then the seconds per call in every turn (float64).
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "trpo_fast/actor.hpp"
#include "trpo_fast/distributions/diag_gaussian.hpp"
#include "trpo_fast/network/append_log_std.hpp"
#include "trpo_fast/network/dense.hpp"

using namespace trpo_fast;

namespace {

constexpr int kCallsPerTurn = 20000;

template <class T>
bool read(T* to, Index count) {
  return std::fread(to, sizeof(T), static_cast<std::size_t>(count), stdin) == static_cast<std::size_t>(count);
}

}  // namespace

int main() {
  std::int32_t sizes[4];
  if (!read(sizes, 4)) return 1;
  const Index inputs = sizes[0], width = sizes[1], outputs = sizes[2], turns = sizes[3];
  const Network<float> network({std::make_shared<Dense<float>>(inputs, width, Activation::tanh),
                                std::make_shared<Dense<float>>(width, width, Activation::tanh),
                                std::make_shared<Dense<float>>(width, outputs, Activation::identity),
                                std::make_shared<AppendLogStd<float>>(outputs)});
  const DiagGaussian<float> distribution(outputs);
  Vector<float> theta(network.num_params());
  RowMatrix<double> observation(1, inputs);
  if (!read(theta.data(), theta.size()) || !read(observation.data(), inputs)) return 1;

  Actor<float> actor(network, distribution,
                     Normalizer(Vector<double>::Zero(inputs), Vector<double>::Ones(inputs), 10.0), theta.data());
  RowMatrix<float> action(1, outputs);
  std::vector<double> seconds;
  for (Index turn = 0; turn < turns; ++turn) {
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < kCallsPerTurn; ++call) {
      actor.act({observation.data(), 1, inputs}, {nullptr, 1, outputs}, {action.data(), 1, outputs});
      observation(0, 0) += 0.0 * double(action(0, 0));  // each call waits for the one before, as a control loop's does
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    seconds.push_back(elapsed.count() / kCallsPerTurn);
  }
  std::fwrite(action.data(), sizeof(float), static_cast<std::size_t>(outputs), stdout);
  std::fwrite(seconds.data(), sizeof(double), seconds.size(), stdout);
}
