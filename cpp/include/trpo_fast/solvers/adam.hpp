// Adam (Kingma & Ba 2015, Alg. 1), with epsilon outside the bias-corrected root.
#pragma once

#include <cmath>
#include <cstdint>

#include "../kernels/packets.hpp"
#include "../padded_matrix.hpp"

namespace trpo_fast {

struct AdamOptions {
  double learning_rate;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-5;
};

// Step number n_steps (the first is 1), in one pass. Updates everything but the gradient in place. Sizes are multiples
// of a cache line.
template <class Scalar>
void adam_step(const AdamOptions& options, std::int64_t n_steps, const Vector<Scalar>& gradient,
               Vector<Scalar>& first_moment, Vector<Scalar>& second_moment, Vector<Scalar>& theta) {
  using Packet = FullPacket<Scalar>;
  const auto constant = [](double value) { return simd::pset1<Packet>(static_cast<Scalar>(value)); };
  const Packet rate = constant(-options.learning_rate / (1.0 - std::pow(options.beta1, double(n_steps))));
  const Packet root_scale = constant(1.0 / std::sqrt(1.0 - std::pow(options.beta2, double(n_steps))));
  const Packet beta1 = constant(options.beta1), rest1 = constant(1.0 - options.beta1);
  const Packet beta2 = constant(options.beta2), rest2 = constant(1.0 - options.beta2);
  const Packet epsilon = constant(options.epsilon);
  for (Index i = 0; i < gradient.size(); i += kLanes<Packet>) {
    const Packet g = simd::ploadu<Packet>(gradient.data() + i);
    // m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
    const Packet m = simd::pmadd(beta1, simd::ploadu<Packet>(first_moment.data() + i), simd::pmul(rest1, g));
    const Packet v =
        simd::pmadd(beta2, simd::ploadu<Packet>(second_moment.data() + i), simd::pmul(rest2, simd::pmul(g, g)));
    // theta -= rate m / (sqrt(v / correction2) + epsilon)
    const Packet step = simd::pdiv(m, simd::pmadd(simd::psqrt(v), root_scale, epsilon));
    simd::pstoreu(theta.data() + i, simd::pmadd(rate, step, simd::ploadu<Packet>(theta.data() + i)));
    simd::pstoreu(first_moment.data() + i, m);
    simd::pstoreu(second_moment.data() + i, v);
  }
}

}  // namespace trpo_fast
