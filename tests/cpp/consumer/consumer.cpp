// The runtime and the kernels side by side: what a file's policy does, and a network's forward pass.
// The headers come after the macros of windows.h, and after the standard headers that would not survive these.
#include <algorithm>
#include <chrono>
#include <complex>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <numeric>
#include <sstream>
#include <thread>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))

#include "trpo_fast/actor.hpp"
#include "trpo_fast/area_resize.hpp"
#include "trpo_fast/distributions/diag_gaussian.hpp"
#include "trpo_fast/network/append_log_std.hpp"
#include "trpo_fast/network/conv2d.hpp"
#include "trpo_fast/network/dense.hpp"
#include "trpo_fast/policy.hpp"

int main(int argc, char** argv) {
  using namespace trpo_fast;
  const Network<float> network(
      {std::make_shared<Dense<float>>(2, 3, Activation::tanh), std::make_shared<AppendLogStd<float>>(3)});
  const DiagGaussian<float> distribution(3);
  const Vector<float> theta = Vector<float>::Constant(network.num_params(), 0.5f);
  Actor<float> actor(network, distribution, Normalizer(Vector<double>::Zero(2), Vector<double>::Ones(2), 10.0),
                     theta.data());
  const double observation[] = {0.25, -0.5};
  float action[3] = {};
  actor.act({observation, 1, 2}, {nullptr, 1, 3}, {action, 1, 3});
  std::printf("kernels: %.3f\n", static_cast<double>(action[0]));
  if (argc < 2) return 0;
  auto loaded = runtime::load_policy(argv[1]);
  std::printf("runtime: %s\n", loaded.policy ? "loaded" : loaded.problem.message.c_str());
  return loaded.policy ? 0 : 1;
}
