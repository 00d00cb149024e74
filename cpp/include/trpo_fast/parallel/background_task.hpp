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
    if (!state_->claimed.exchange(true)) return;
    std::unique_lock<std::mutex> lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->done; });
  }

  // Another thread starts the task, if one is available.
  void start() {
    ThreadPool::instance().launch([state = state_] {
      if (!state->claimed.exchange(true))
        state->run([&] {
          if (state->cancelled) throw Cancelled();
        });
    });
  }

  // Waits for the task and rethrows its exception; executes it here if no other thread has started it. poll() is called
  // regularly, and may throw, which cancels the task.
  void finish(const Poll& poll) {
    if (!state_->claimed.exchange(true)) {
      state_->run(poll);
    } else {
      wait(poll);
    }
    if (state_->error) std::rethrow_exception(state_->error);
  }

 private:
  struct Cancelled : std::runtime_error {
    Cancelled() : std::runtime_error("cancelled") {}
  };

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

    std::function<void(const Poll&)> function;
    std::atomic<bool> claimed{false};  // by the thread that executes it
    std::atomic<bool> cancelled{false};
    std::exception_ptr error;
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
  };

  void wait(const Poll& poll) {
    std::unique_lock<std::mutex> lock(state_->mutex);
    while (!state_->changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return state_->done; })) {
      lock.unlock();
      try {
        poll();
      } catch (...) {
        state_->cancelled = true;
        lock.lock();
        state_->changed.wait(lock, [&] { return state_->done; });
        throw;
      }
      lock.lock();
    }
  }

  std::shared_ptr<State> state_;
};

}  // namespace trpo_fast
