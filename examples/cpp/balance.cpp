// A control loop at 50 Hz: a policy trained by `trpo-fast train CartPole-v1` balances a pole.
//
//   balance FILE [SECONDS]
//
// Cart and pole are simulated with the equations of Gymnasium's CartPole-v1; a robot has sensors and motors instead.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "trpo_fast/policy.hpp"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPeriod(20);

struct CartPole {
  float position = 0.0f, velocity = 0.0f, angle = 0.05f, angular_velocity = 0.0f;

  bool is_upright() const { return std::abs(angle) < 0.2095f && std::abs(position) < 2.4f; }

  // Simulates one period with the cart pushed to the left or to the right.
  void step(bool to_the_right) {
    constexpr float kGravity = 9.8f, kPoleMass = 0.1f, kTotalMass = 1.1f, kHalfLength = 0.5f, kSeconds = 0.02f;
    const float force = to_the_right ? 10.0f : -10.0f;
    const float sine = std::sin(angle), cosine = std::cos(angle);
    const float push = (force + kPoleMass * kHalfLength * angular_velocity * angular_velocity * sine) / kTotalMass;
    const float angular_acceleration =
        (kGravity * sine - cosine * push) / (kHalfLength * (4.0f / 3.0f - kPoleMass * cosine * cosine / kTotalMass));
    const float acceleration = push - kPoleMass * kHalfLength * angular_acceleration * cosine / kTotalMass;
    position += kSeconds * velocity;
    velocity += kSeconds * acceleration;
    angle += kSeconds * angular_velocity;
    angular_velocity += kSeconds * angular_acceleration;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::puts("balance FILE [SECONDS]");
    return 2;
  }
  // Before the loop: everything that may allocate or fail.
  auto loaded = trpo_fast::runtime::load_policy(argv[1]);
  if (!loaded.policy) {
    std::fprintf(stderr, "%s: %s\n", argv[1], loaded.problem.message.c_str());
    return 1;
  }
  trpo_fast::runtime::Policy& policy = *loaded.policy;
  if (policy.observation_size() != 4 || policy.action_kind() != trpo_fast::runtime::ActionKind::choices) {
    std::fprintf(stderr, "%s: expected a policy of CartPole-v1\n", argv[1]);
    return 1;
  }
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10.0;
  const int num_ticks = static_cast<int>(seconds / std::chrono::duration<double>(kPeriod).count());

  CartPole system;
  int tick = 0;
  Clock::duration slowest{}, latest{};
  for (auto next = Clock::now(); tick < num_ticks && system.is_upright(); ++tick, next += kPeriod) {
    std::this_thread::sleep_until(next);
    const auto begin = Clock::now();
    const float observation[] = {system.position, system.velocity, system.angle, system.angular_velocity};
    float action = 0.0f;
    const auto status = policy.act(observation, &action);
    slowest = std::max(slowest, Clock::now() - begin);
    latest = std::max(latest, begin - next);
    if (status != trpo_fast::runtime::ActStatus::ok) std::fprintf(stderr, "%s\n", to_string(status));
    system.step(action == 1.0f);
  }
  const auto microseconds = [](Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
  std::printf("upright for %d of %d ticks; the slowest action took %.1f us, the latest tick came %.0f us late\n", tick,
              num_ticks, microseconds(slowest), microseconds(latest));
  return system.is_upright() ? 0 : 1;
}
