// The oracle: networks and distributions as plain loops over wide numbers, one row at a time, with derivatives by dual
// numbers. It shares no arithmetic with the kernels.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "trpo_fast/network/activations.hpp"

namespace trpo_fast::tests {

// A type with more digits than Scalar.
template <class Scalar>
using Wide = std::conditional_t<std::is_same_v<Scalar, float>, double, long double>;

// value + slope e, with e^2 = 0
template <class Real>
struct Dual {
  Real value;
  Real slope = 0;
  Dual(Real v = 0, Real s = 0) : value(v), slope(s) {}

  friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  friend Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
  friend Dual operator*(Dual a, Dual b) { return {a.value * b.value, a.slope * b.value + a.value * b.slope}; }
  friend Dual operator/(Dual a, Dual b) {
    return {a.value / b.value, (a.slope - a.value / b.value * b.slope) / b.value};
  }
  friend bool operator<(Dual a, Dual b) { return a.value < b.value; }
  friend Dual exp(Dual a) { return {std::exp(a.value), a.slope * std::exp(a.value)}; }
  friend Dual log(Dual a) { return {std::log(a.value), a.slope / a.value}; }
  friend Dual tanh(Dual a) {
    const Real y = std::tanh(a.value);
    return {y, a.slope * (1 - y * y)};
  }
};

template <class T>
T reference_activation(Activation activation, T z) {
  using std::exp, std::tanh;
  const T zero(0), one(1);
  switch (activation) {
    case Activation::tanh:
      return tanh(z);
    case Activation::relu:
      return zero < z ? z : zero;
    case Activation::elu:
      return zero < z ? z : exp(z) - one;
    case Activation::silu:
      return z / (one + exp(zero - z));
    case Activation::identity:
      break;
  }
  return z;
}

// Dense layers of sizes[0] -> sizes[1] -> ..., the last one without activation, then AppendLogStd if log_std, or
// ClampLogStd.
struct NetworkSpec {
  std::vector<Index> sizes;
  Activation activation;
  bool log_std;
  bool clamp_log_std = false;
  bool is_masked = false;

  std::size_t num_params() const {
    Index n = log_std ? sizes.back() : 0;
    for (std::size_t l = 0; l + 1 < sizes.size(); ++l) n += sizes[l + 1] * (sizes[l] + 1);
    return static_cast<std::size_t>(n);
  }
};

// phi of one row
inline void make_impossible(long double& z) { z = -std::numeric_limits<long double>::infinity(); }
inline void make_impossible(double& z) { z = -std::numeric_limits<double>::infinity(); }
inline void make_impossible(float& z) { z = -std::numeric_limits<float>::infinity(); }
template <class Real>
void make_impossible(Dual<Real>& z) {  // the slope stays: derivatives are those of the network without its mask
  make_impossible(z.value);
}

template <class T>
std::vector<T> reference_forward(const NetworkSpec& spec, const std::vector<T>& theta, std::vector<T> x) {
  auto parameter = theta.begin();
  const std::vector<T> is_possible(x.begin() + spec.sizes.front(), x.end());
  x.resize(static_cast<std::size_t>(spec.sizes.front()));
  for (std::size_t l = 0; l + 1 < spec.sizes.size(); ++l) {
    std::vector<T> z(static_cast<std::size_t>(spec.sizes[l + 1]), T(0));
    for (T& z_j : z) {
      for (const T& x_k : x) z_j = z_j + *parameter++ * x_k;
    }
    for (T& z_j : z) z_j = z_j + *parameter++;
    if (l + 2 < spec.sizes.size()) {
      for (T& z_j : z) z_j = reference_activation(spec.activation, z_j);
    }
    x = std::move(z);
  }
  x.insert(x.end(), parameter, theta.end());  // within the clamp of AppendLogStd
  for (std::size_t k = spec.clamp_log_std ? x.size() / 2 : x.size(); k < x.size(); ++k) {
    x[k] = x[k] < T(-20) ? T(-20) : T(2) < x[k] ? T(2) : x[k];
  }
  for (std::size_t k = 0; k < is_possible.size(); ++k) {
    if (!(T(0) < is_possible[k])) make_impossible(x[k]);
  }
  return x;
}

enum class Kind { gaussian, categorical, bernoulli, unit_gaussian };

// A distribution of `size` dimensions, choices or bits; several of them are a Product.
struct Factor {
  Kind kind;
  Index size;
  bool is_gaussian() const { return kind == Kind::gaussian || kind == Kind::unit_gaussian; }
  Index num_dist_params() const { return kind == Kind::gaussian ? 2 * size : size; }
  Index action_size() const { return kind == Kind::categorical ? 1 : size; }
};
using Factors = std::vector<Factor>;

template <class T>
T log_softmax(const T* z, Index n, Index i) {
  using std::exp, std::log;
  T sum(0);
  for (Index j = 0; j < n; ++j) sum = sum + exp(z[j]);
  return z[i] - log(sum);
}

// log P(the bit is 1)
template <class T>
T log_sigmoid(T z) {
  using std::exp, std::log;
  return T(0) - log(T(1) + exp(T(0) - z));
}

template <class T, class Scalar>
T reference_log_prob(const Factors& factors, const T* phi, const Scalar* action) {
  using std::exp;
  T sum(0);
  for (const Factor& f : factors) {
    for (Index j = 0; j < f.action_size(); ++j) {
      const T a(action[j]);
      if (f.kind == Kind::gaussian) {
        const T z = (a - phi[j]) * exp(T(0) - phi[f.size + j]);
        sum = sum - z * z / T(2) - phi[f.size + j] - T(0.91893853320467274178);
      } else if (f.kind == Kind::categorical) {
        sum = sum + log_softmax(phi, f.size, static_cast<Index>(action[j]));
      } else if (f.kind == Kind::unit_gaussian) {
        sum = sum - (a - phi[j]) * (a - phi[j]) / T(2) - T(0.91893853320467274178);
      } else {
        sum = sum + log_sigmoid(action[j] > 0 ? phi[j] : T(0) - phi[j]);
      }
    }
    phi += f.num_dist_params();
    action += f.action_size();
  }
  return sum;
}

// KL(p || q)
template <class T>
T reference_kl(const Factors& factors, const T* p, const T* q) {
  T kl(0);
  for (const Factor& f : factors) {
    for (Index j = 0; j < f.size; ++j) {
      if (f.kind == Kind::gaussian) {
        const T s_p = p[f.size + j], s_q = q[f.size + j], d = p[j] - q[j];
        kl += s_q - s_p + (std::exp(2 * s_p) + d * d) / (2 * std::exp(2 * s_q)) - T(0.5);
      } else if (f.kind == Kind::categorical) {
        const T log_p = log_softmax(p, f.size, j), log_q = log_softmax(q, f.size, j);
        if (std::isfinite(log_p)) kl += std::exp(log_p) * (log_p - log_q);
      } else if (f.kind == Kind::unit_gaussian) {
        kl += (p[j] - q[j]) * (p[j] - q[j]) / 2;
      } else {
        for (const T sign : {T(1), T(-1)}) {
          const T log_p = log_sigmoid(sign * p[j]), log_q = log_sigmoid(sign * q[j]);
          kl += std::exp(log_p) * (log_p - log_q);
        }
      }
    }
    p += f.num_dist_params();
    q += f.num_dist_params();
  }
  return kl;
}

template <class T>
T reference_entropy(const Factors& factors, const T* q) {
  using std::exp;
  T entropy(0);
  for (const Factor& f : factors) {
    for (Index j = 0; j < f.size; ++j) {
      if (f.kind == Kind::gaussian) {
        entropy = entropy + q[f.size + j] + T(1.41893853320467274178);
      } else if (f.kind == Kind::categorical) {
        const T log_q = log_softmax(q, f.size, j);
        if (T(-1e30) < log_q) entropy = entropy - exp(log_q) * log_q;
      } else if (f.kind == Kind::unit_gaussian) {
        entropy = entropy + T(1.41893853320467274178);
      } else {
        const T log_set = log_sigmoid(q[j]), log_clear = log_sigmoid(T(0) - q[j]);
        entropy = entropy - exp(log_set) * log_set - exp(log_clear) * log_clear;
      }
    }
    q += f.num_dist_params();
  }
  return entropy;
}

// M(phi) dphi
template <class T>
std::vector<T> reference_metric_product(const Factors& factors, const T* phi, const T* dphi) {
  std::vector<T> out;
  for (const Factor& f : factors) {
    T mean(0);
    if (f.kind == Kind::categorical) {
      for (Index j = 0; j < f.size; ++j) mean += std::exp(log_softmax(phi, f.size, j)) * dphi[j];
    }
    for (Index j = 0; j < f.num_dist_params(); ++j) {
      if (f.kind == Kind::gaussian) {
        out.push_back((j < f.size ? std::exp(-2 * phi[f.size + j]) : T(2)) * dphi[j]);
      } else if (f.kind == Kind::categorical) {
        out.push_back(std::exp(log_softmax(phi, f.size, j)) * (dphi[j] - mean));
      } else if (f.kind == Kind::unit_gaussian) {
        out.push_back(dphi[j]);
      } else {
        out.push_back(std::exp(log_sigmoid(phi[j]) + log_sigmoid(-phi[j])) * dphi[j]);
      }
    }
    phi += f.num_dist_params();
    dphi += f.num_dist_params();
  }
  return out;
}

}  // namespace trpo_fast::tests
