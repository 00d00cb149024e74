// Element-wise activations: the value, and the derivative from what the forward pass kept.
#pragma once

#include <stdexcept>
#include <string>

#include "../types.hpp"

namespace trpo_fast {

enum class Activation { identity, tanh, relu, elu, silu };

inline Activation activation_from_name(const std::string& name) {
  if (name == "identity") return Activation::identity;
  if (name == "tanh") return Activation::tanh;
  if (name == "relu") return Activation::relu;
  if (name == "elu") return Activation::elu;
  if (name == "silu") return Activation::silu;
  throw std::invalid_argument("activation: expected identity, tanh, relu, elu or silu, got " + name);
}

// silu alone cannot be differentiated from its output; it keeps its derivative beside it.
inline bool keeps_derivative(Activation activation) { return activation == Activation::silu; }

// y holds z on entry and phi(z) on return; derivative receives phi'(z) where keeps_derivative().
template <class Scalar>
void apply_activation(Activation activation,
                      MatrixView<Scalar> y,          // (B, n)
                      MatrixView<Scalar> derivative  // (B, n) or (B, 0)
) {
  auto a = y.array();
  switch (activation) {
    case Activation::identity:
      break;
    case Activation::tanh:
      a = a.tanh();
      break;
    case Activation::relu:
      a = a.max(Scalar(0));
      break;
    case Activation::elu:
      // exp(z) - 1 only where z < 0; min() keeps exp from overflowing where it is not used
      a = (a > Scalar(0)).select(a, a.min(Scalar(0)).exp() - Scalar(1));
      break;
    case Activation::silu: {
      auto d = derivative.array();
      d = (Scalar(1) + (-a).exp()).inverse();  // sigma(z)
      a *= d;                                  // phi(z) = z sigma(z)
      d += a * (Scalar(1) - d);                // phi'(z) = sigma + z sigma (1 - sigma)
      break;
    }
  }
}

// inout *= phi'(z), element-wise
template <class Scalar>
void multiply_derivative(Activation activation,
                         ConstMatrixView<Scalar> y,           // (B, n)  phi(z)
                         ConstMatrixView<Scalar> derivative,  // (B, n) or (B, 0)
                         MatrixView<Scalar> inout             // (B, n)
) {
  auto a = inout.array();
  switch (activation) {
    case Activation::identity:
      break;
    case Activation::tanh:
      a *= Scalar(1) - y.array().square();
      break;
    case Activation::relu:
      a = (y.array() > Scalar(0)).select(a, Scalar(0));
      break;
    case Activation::elu:
      a *= (y.array() > Scalar(0)).select(Scalar(1), y.array() + Scalar(1));
      break;
    case Activation::silu:
      a *= derivative.array();
      break;
  }
}

}  // namespace trpo_fast
