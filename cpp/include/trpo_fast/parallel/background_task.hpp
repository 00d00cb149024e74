// BackgroundTask: a call that another thread may execute while the caller continues.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "thread_pool.hpp"

namespace trpo_fast {

class BackgroundTask {
 public:
  using Poll = std::function<void()>;

  // function(poll) must call poll() regularly and let its exceptions through.
  explicit BackgroundTask(std::function<void(const Poll&)> function) : state_(std::make_shared<State>()) {
    state_->function = std::move(function);
  }
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;
  ~BackgroundTask() {
    state_->cancelled = true;
    if (state_->claim() || state_->done || state_->is_lost()) return;
    std::unique_lock<std::mutex> lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->done.load(); });
  }

  // Another thread starts the task, if one is available.
  void start() {
    ThreadPool::instance().launch([state = state_] {
      if (state->claim())
        state->run([&] {
          if (state->cancelled) throw Cancelled();
        });
    });
  }

  // Waits for the task and rethrows its exception; executes it here if no other thread has started it. poll() is called
  // regularly, and may throw, which cancels the task. In a fork of the process whose thread had started it, it throws.
  void finish(const Poll& poll) {
    if (state_->claim()) {
      state_->run(poll);
    } else if (!state_->done) {
      if (state_->is_lost()) throw std::runtime_error("the task runs in the process from which this one was forked");
      wait(poll);
    }
    if (state_->error) std::rethrow_exception(state_->error);
  }

 private:
  struct Cancelled : std::runtime_error {
    Cancelled() : std::runtime_error("cancelled") {}
  };

  static constexpr int kNobody = -1;

  struct State {
    void run(const Poll& poll) {
      try {
        function(poll);
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard<std::mutex> lock(mutex);
      done = true;
      changed.notify_all();
    }

    // Whether the caller is the first, who executes it.
    bool claim() {
      int nobody = kNobody;
      return claimed_in.compare_exchange_strong(nobody, fork_count().load());
    }

    // Whether the thread that executes it is not one of this process.
    bool is_lost() const { return claimed_in.load() != fork_count().load(); }

    std::function<void(const Poll&)> function;
    std::atomic<int> claimed_in{kNobody};  // number of forks before the process whose thread executes it
    std::atomic<bool> cancelled{false};
    std::exception_ptr error;
    std::mutex mutex;
    std::condition_variable changed;
    std::atomic<bool> done{false};
  };

  void wait(const Poll& poll) {
    std::unique_lock<std::mutex> lock(state_->mutex);
    while (!state_->changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return state_->done.load(); })) {
      lock.unlock();
      try {
        poll();
      } catch (...) {
        state_->cancelled = true;
        lock.lock();
        state_->changed.wait(lock, [&] { return state_->done.load(); });
        throw;
      }
      lock.lock();
    }
  }

  std::shared_ptr<State> state_;
};

}  // namespace trpo_fast
