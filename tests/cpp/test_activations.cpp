// Element-wise functions: accuracy, extreme arguments, and the same bits in every lane of every packet.
#include <limits>
#include <vector>

#include "problems.hpp"

namespace trpo_fast::tests {
namespace {

constexpr Activation kActivations[] = {Activation::identity, Activation::tanh, Activation::relu, Activation::elu,
                                       Activation::silu};

template <class Scalar>
Index size(const std::vector<Scalar>& values) {
  return static_cast<Index>(values.size());
}

// out[i] = f(x[i]), a packet at a time; sizes are multiples of every packet's
template <class Packet, class Function>
std::vector<Element<Packet>> map(const std::vector<Element<Packet>>& x, Function&& f) {
  std::vector<Element<Packet>> out(x.size());
  for (Index i = 0; i < size(x); i += kLanes<Packet>) {
    simd::pstoreu(out.data() + i, f(simd::ploadu<Packet>(x.data() + i)));
  }
  return out;
}

// Both signs of every magnitude from the smallest denormal number to the largest, and densely where tanh bends.
template <class Scalar>
std::vector<Scalar> sweep() {
  using Limits = std::numeric_limits<Scalar>;
  Random random(5);
  std::vector<Scalar> x{0, Limits::max(), Limits::min(), Limits::denorm_min()};
  for (int exponent = Limits::min_exponent - Limits::digits; exponent < Limits::max_exponent; ++exponent) {
    for (int i = 0; i < 4; ++i) x.push_back(std::ldexp(static_cast<Scalar>(random.uniform(0.5, 1.0)), exponent));
  }
  for (int i = 0; i < 20000; ++i) x.push_back(static_cast<Scalar>(random.uniform(0.0, i % 2 == 0 ? 1.0 : 25.0)));
  const std::size_t n = x.size();
  for (std::size_t i = 0; i < n; ++i) x.push_back(-x[i]);
  x.resize(x.size() / 64 * 64);
  return x;
}

// |y - expected| in units of the last place of a Scalar near expected
template <class Scalar>
double error_in_ulp(Scalar y, Wide<Scalar> expected) {
  using Limits = std::numeric_limits<Scalar>;
  const int exponent = std::max(expected == 0 ? Limits::min_exponent : std::ilogb(expected) + 1, Limits::min_exponent);
  return static_cast<double>(std::abs(Wide<Scalar>(y) - expected) /
                             std::ldexp(Wide<Scalar>(1), exponent - Limits::digits));
}

TEST_BOTH(tanh_is_accurate) {
  const double bound = sizeof(Scalar) == 4 ? 5.0 : 3.0;
  const std::vector<Scalar> x = sweep<Scalar>();
  const std::vector<Scalar> y = map<FullPacket<Scalar>>(x, [](const auto& packet) { return tanh(packet); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(error_in_ulp<Scalar>(y[i], std::tanh(Wide<Scalar>(x[i]))) <= bound, "x", x[i], "y", y[i]);
    CHECK(std::abs(y[i]) <= Scalar(1), "x", x[i], "y", y[i]);
  }
}

TEST_BOTH(exp_is_accurate) {
  const Scalar limit = sizeof(Scalar) == 4 ? Scalar(87) : Scalar(708);  // of normal numbers
  std::vector<Scalar> x = sweep<Scalar>();
  for (Scalar& value : x) value = std::min(std::max(value, -limit), limit);
  const std::vector<Scalar> y = map<FullPacket<Scalar>>(x, [](const auto& packet) { return exp(packet); });
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(error_in_ulp<Scalar>(y[i], std::exp(Wide<Scalar>(x[i]))) <= 2.0, "x", x[i], "y", y[i]);
  }
}

// Value and derivative, as forward and times_derivative make them
template <class Packet>
struct Activated {
  std::vector<Element<Packet>> value;
  std::vector<Element<Packet>> slope;

  Activated(Activation activation, const std::vector<Element<Packet>>& x) : value(x.size()), slope(x.size()) {
    with_activation(activation, [&](auto phi) {
      for (Index i = 0; i < size(x); i += kLanes<Packet>) {
        const Packet one = simd::pset1<Packet>(Element<Packet>(1));
        Packet derivative = simd::pset1<Packet>(Element<Packet>(0));
        const Packet y = activate<phi>(simd::ploadu<Packet>(x.data() + i), derivative);
        simd::pstoreu(value.data() + i, y);
        simd::pstoreu(slope.data() + i, times_derivative<phi>(one, keeps_derivative(phi) ? derivative : y));
      }
    });
  }
};

TEST_BOTH(activations_and_derivatives_are_accurate) {
  const std::vector<Scalar> x = sweep<Scalar>();
  const double bound = 8.0 * double(std::numeric_limits<Scalar>::epsilon());
  for (const Activation activation : kActivations) {
    const Activated<FullPacket<Scalar>> y(activation, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto expected = reference_activation(activation, Dual<Wide<Scalar>>(x[i], 1));
      if (std::isnan(expected.slope)) continue;  // the oracle's own exp overflowed
      const double scale = std::max(1.0, double(std::abs(expected.value)));
      CHECK(double(std::abs(y.value[i] - expected.value)) <= bound * scale, "x", x[i], "y", y.value[i]);
      CHECK(double(std::abs(y.slope[i] - expected.slope)) <= bound * scale, "x", x[i], "slope", y.slope[i]);
    }
  }
}

TEST_BOTH(extreme_arguments) {
  const Scalar inf = std::numeric_limits<Scalar>::infinity(), nan = std::numeric_limits<Scalar>::quiet_NaN();
  std::vector<Scalar> x(64, Scalar(0));
  x[0] = nan, x[1] = inf, x[2] = -inf;
  for (const Activation activation : kActivations) {
    const std::vector<Scalar> y = Activated<FullPacket<Scalar>>(activation, x).value;
    CHECK(std::isnan(y[0]), "activation", int(activation));  // trouble stays visible
    CHECK(y[1] == (activation == Activation::tanh ? Scalar(1) : inf), "activation", int(activation), "y", y[1]);
    CHECK(y[3] == Scalar(0), "activation", int(activation), "y", y[3]);  // padding stays 0
  }
  CHECK(Activated<FullPacket<Scalar>>(Activation::tanh, x).value[2] == Scalar(-1), "x", x[2]);
  CHECK(Activated<FullPacket<Scalar>>(Activation::relu, x).value[2] == Scalar(0), "x", x[2]);
  CHECK(Activated<FullPacket<Scalar>>(Activation::elu, x).value[2] == Scalar(-1), "x", x[2]);
}

TEST_BOTH(same_bits_in_every_lane_of_every_packet) {
  const std::vector<Scalar> x = sweep<Scalar>();
  std::vector<Scalar> shifted(x.begin() + 1, x.end());  // every value in another lane
  shifted.push_back(x.front());
  for (const Activation activation : kActivations) {
    const Activated<FullPacket<Scalar>> full(activation, x), other_lane(activation, shifted);
    const Activated<HalfPacket<FullPacket<Scalar>>> half(activation, x);
    const Activated<QuarterPacket<Scalar>> quarter(activation, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t before = (i + x.size() - 1) % x.size();
      for (const Scalar value : {other_lane.value[before], half.value[i], quarter.value[i]}) {
        CHECK(same_bits(value, full.value[i]), "activation", int(activation), "x", x[i]);
      }
      for (const Scalar slope : {other_lane.slope[before], half.slope[i], quarter.slope[i]}) {
        CHECK(same_bits(slope, full.slope[i]), "activation", int(activation), "x", x[i]);
      }
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
