// ThreadPool: the one place where threads live. Started when first needed, gone and started anew after a fork.
//
// A call of run() is a batch of tasks: the caller works on it, and so does every worker that is free. No result depends
// on who does which task. A worker without work spins for a moment, since the next batch of a conjugate gradient is a
// few microseconds away, and then sleeps.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "../types.hpp"
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace trpo_fast {

constexpr int kMaxThreads = 256;

// Processors that this process may run on.
inline int available_processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// How many threads a long call may use, the caller's included, unless it is told otherwise.
inline std::atomic<int>& default_threads() {
  static std::atomic<int> threads{std::min(available_processors(), kMaxThreads)};
  return threads;
}

class ThreadPool {
 public:
  static ThreadPool& instance() {
    ThreadPool* pool = current().load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    static std::once_flag registered;
    std::call_once(registered, [] {
#if defined(__unix__) || defined(__APPLE__)
      // the child has none of the threads; what they worked with is left behind
      pthread_atfork(nullptr, nullptr, [] { current().store(nullptr); });
#endif
    });
    auto fresh = std::make_unique<ThreadPool>();
    if (current().compare_exchange_strong(pool, fresh.get())) return *fresh.release();  // lives as long as the process
    return *pool;
  }

  // Calls f(task, thread) for every task in 0..n_tasks-1 on at most n_threads threads, numbered from 0, the caller's,
  // and returns when all are done. An exception may come from thread 0 only, and ends the batch early. Where another
  // batch is under way (this is a task of it, or comes from another thread of the user's) the caller does all tasks
  // itself.
  template <class Function>
  void run(Index n_tasks, int n_threads, Function&& f) {
    n_threads = static_cast<int>(std::min<Index>(n_threads, n_tasks));
    if (n_threads > 1) start_workers(n_threads - 1);
    if (n_threads <= 1 || busy_.exchange(true)) {
      for (Index task = 0; task < n_tasks; ++task) f(task, 0);
      return;
    }
    batch_.call = [](void* function, Index task, int thread) {
      (*static_cast<std::remove_reference_t<Function>*>(function))(task, thread);
    };
    batch_.function = const_cast<void*>(static_cast<const void*>(std::addressof(f)));
    batch_.n_tasks = n_tasks;
    batch_.n_threads = n_threads;
    next_task_.store(0);
    open();
    std::exception_ptr error;
    try {
      work(0);
    } catch (...) {
      error = std::current_exception();
      next_task_.store(n_tasks);
    }
    close();
    busy_.store(false);
    if (error) std::rethrow_exception(error);
  }

  // Offers a job to a worker, who does nothing else until it is done. It may come to nothing: another may be waiting,
  // or no worker to be had.
  void launch(std::function<void()> job) {
    start_workers(1);
    std::function<void()>* none = nullptr;
    auto handed = std::make_unique<std::function<void()>>(std::move(job));
    if (!job_.compare_exchange_strong(none, handed.get())) return;
    handed.release();  // the worker's now
    wake();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kSpin{100};

  struct Batch {
    void (*call)(void* function, Index task, int thread) = nullptr;
    void* function = nullptr;
    Index n_tasks = 0;
    int n_threads = 0;
  };

  static std::atomic<ThreadPool*>& current() {
    static std::atomic<ThreadPool*> pool{nullptr};
    return pool;
  }

  static void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
  }

  void start_workers(int wanted) {
    if (n_workers_.load(std::memory_order_acquire) >= wanted) return;
    const std::lock_guard<std::mutex> lock(start_mutex_);
    while (n_workers_.load() < std::min(wanted, kMaxThreads - 1)) {
      const int thread = n_workers_.load() + 1;
      try {
        std::thread([this, thread] { live(thread); }).detach();
      } catch (const std::system_error&) {
        return;  // no more to be had: those there are do the work
      }
      n_workers_.store(thread, std::memory_order_release);
    }
  }

  // A worker joins a batch by counting itself in before it looks whether the batch is open: either it sees that it is
  // closed, or close() sees the worker. (All four operations are sequentially consistent.)
  void open() {
    open_.store(true);
    wake();
  }
  void close() {
    open_.store(false);
    for (int spins = 0; joined_.load() != 0; ++spins) spins < 1000 ? pause() : std::this_thread::yield();
  }

  void wake() {
    calls_.fetch_add(1);
    if (n_asleep_.load() == 0) return;
    {
      const std::lock_guard<std::mutex> lock(sleep_mutex_);
    }
    sleepers_.notify_all();
  }

  void live(int thread) {
    std::uint64_t seen = 0;
    for (;;) {
      seen = wait_for_call(seen);
      if (std::function<void()>* job = job_.exchange(nullptr); job != nullptr) {
        const std::unique_ptr<std::function<void()>> owned(job);
        (*owned)();
        continue;
      }
      joined_.fetch_add(1);
      if (open_.load() && thread < batch_.n_threads) work(thread);
      joined_.fetch_sub(1);
    }
  }

  void work(int thread) {
    for (Index task; (task = next_task_.fetch_add(1)) < batch_.n_tasks;) batch_.call(batch_.function, task, thread);
  }

  std::uint64_t wait_for_call(std::uint64_t seen) {
    for (const auto end = Clock::now() + kSpin; Clock::now() < end;) {
      for (int i = 0; i < 64; ++i, pause()) {
        if (calls_.load() != seen) return calls_.load();
      }
    }
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    n_asleep_.fetch_add(1);
    sleepers_.wait(lock, [&] { return calls_.load() != seen; });
    n_asleep_.fetch_sub(1);
    return calls_.load();
  }

  std::atomic<bool> busy_{false};  // one batch at a time; no mutex: a task of it may ask, too
  Batch batch_;                    // written before open(), read by workers that found it open
  std::atomic<Index> next_task_{0};
  std::atomic<bool> open_{false};
  std::atomic<int> joined_{0};
  std::atomic<std::function<void()>*> job_{nullptr};

  std::mutex start_mutex_;
  std::atomic<int> n_workers_{0};

  std::atomic<std::uint64_t> calls_{0};  // batches opened and jobs handed over
  std::atomic<int> n_asleep_{0};
  std::mutex sleep_mutex_;
  std::condition_variable sleepers_;
};

}  // namespace trpo_fast
