// Outside these bounds sigma^-2 or sigma^2 leaves the useful range of float32; a log standard deviation is clamped to
// them, and the derivative is 0 there.
#pragma once

namespace trpo_fast {

constexpr double kMinLogStd = -20.0;
constexpr double kMaxLogStd = 2.0;

}  // namespace trpo_fast
