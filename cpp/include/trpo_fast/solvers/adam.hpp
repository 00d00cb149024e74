// Adam (Kingma & Ba 2015, Alg. 1), with epsilon outside the bias-corrected root.
#pragma once

#include <cmath>
#include <cstdint>

#include "../types.hpp"

namespace trpo_fast {

template <class Scalar>
struct AdamState {
  Vector<Scalar> first_moment;   // (P,)
  Vector<Scalar> second_moment;  // (P,)
  std::int64_t n_steps;
};

struct AdamOptions {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-5;
};

// One step: theta and state are updated in place.
template <class Scalar>
void adam_step(const AdamOptions& options, const Vector<Scalar>& gradient, AdamState<Scalar>& state,
               Vector<Scalar>& theta) {
  ++state.n_steps;
  const auto beta1 = static_cast<Scalar>(options.beta1);
  const auto beta2 = static_cast<Scalar>(options.beta2);
  const double correction1 = 1.0 - std::pow(options.beta1, double(state.n_steps));
  const double correction2 = 1.0 - std::pow(options.beta2, double(state.n_steps));
  const auto rate = static_cast<Scalar>(options.learning_rate / correction1);
  const auto root_scale = static_cast<Scalar>(1.0 / std::sqrt(correction2));
  const auto epsilon = static_cast<Scalar>(options.epsilon);
  auto m = state.first_moment.array();
  auto v = state.second_moment.array();
  m = beta1 * m + (Scalar(1) - beta1) * gradient.array();
  v = beta2 * v + (Scalar(1) - beta2) * gradient.array().square();
  theta.array() -= rate * m / (v.sqrt() * root_scale + epsilon);
}

}  // namespace trpo_fast
