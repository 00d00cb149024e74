// Why a policy file was not loaded.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace trpo_fast::runtime {

enum class LoadStatus : std::uint8_t {
  ok,
  unreadable,   // there is no such file, or it cannot be read
  malformed,    // not a file of ours: no safetensors, no metadata, or they contradict each other
  damaged,      // the checksum is another
  unsupported,  // of another version, or what float32 cannot hold
  unfit,        // metadata and tensors do not make a policy
};

struct LoadProblem {
  LoadStatus status = LoadStatus::ok;
  std::string message;

  // false, for `return problem.is(...)`
  bool is(LoadStatus what, std::string why) {
    status = what;
    message = std::move(why);
    return false;
  }
};

}  // namespace trpo_fast::runtime
