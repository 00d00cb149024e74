// ForkSafeMutex: a mutex that is free in a fork of the process, even if another thread held it at that moment: that
// thread does not exist there. For what every call writes anew before it reads it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "thread_pool.hpp"

namespace trpo_fast {

class ForkSafeMutex {
 public:
  void lock() {
    int made_in = made_in_.load(std::memory_order_acquire);
    while (made_in != fork_count().load()) made_in = renew(made_in);
    mutex_->lock();
  }
  void unlock() { mutex_->unlock(); }

 private:
  static constexpr int kRenewing = -1;

  // One thread of the fork replaces the mutex, others wait for it. The old one is abandoned: it may be locked.
  int renew(int made_in) {
    if (made_in != kRenewing && made_in_.compare_exchange_strong(made_in, kRenewing)) {
      static_cast<void>(mutex_.release());
      mutex_ = std::make_unique<std::mutex>();
      made_in_.store(fork_count().load(), std::memory_order_release);
    }
    return made_in_.load(std::memory_order_acquire);
  }

  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::atomic<int> made_in_{fork_count().load()};  // number of forks before the process that made the mutex
};

}  // namespace trpo_fast
