// ThreadPool: the only owner of threads. Started when first needed, and again after a fork.
//
// A call of run() is a batch of tasks, which the caller and every idle worker execute. No result depends on which
// thread executes a task. A worker without work spins briefly, since the next batch of a conjugate gradient follows
// within microseconds, and then sleeps.
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
  if (sched_getaffinity(0, sizeof set, &set) == 0) return (std::max)(1, CPU_COUNT(&set));
#endif
  return (std::max)(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Default number of threads of a long call, including the caller's.
inline std::atomic<int>& default_threads() {
  static std::atomic<int> threads{(std::min)(available_processors(), kMaxThreads)};
  return threads;
}

// Number of forks between the process that loaded this code and this one. A fork has only the thread that made it.
inline std::atomic<int>& fork_count() {
  static std::atomic<int> count{0};
#if defined(__unix__) || defined(__APPLE__)
  static const int registered = pthread_atfork(nullptr, nullptr, [] { count.fetch_add(1); });
  static_cast<void>(registered);
#endif
  return count;
}

class ThreadPool {
 public:
  static ThreadPool& instance() {
    ThreadPool* pool = current().load(std::memory_order_acquire);
    if (pool != nullptr && pool->made_in_ == fork_count().load()) return *pool;
    auto fresh = std::make_unique<ThreadPool>();
    if (current().compare_exchange_strong(pool, fresh.get())) return *fresh.release();  // never deleted
    return *pool;
  }

  // Calls f(task, thread) for every task in 0..n_tasks-1 on at most n_threads threads and returns when all are done.
  // Thread 0 is the caller's; only there f may throw, which ends the batch early. While another batch runs (this call
  // is one of its tasks, or comes from another thread of the user) the caller executes all tasks itself.
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

  // Offers a job to a worker, which does nothing else until it is done. The job may be dropped if another job waits or
  // no worker exists.
  void launch(std::function<void()> job) {
    start_workers(1);
    std::function<void()>* none = nullptr;
    auto handed = std::make_unique<std::function<void()>>(std::move(job));
    if (!job_.compare_exchange_strong(none, handed.get())) return;
    handed.release();  // the worker owns it now
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
    while (n_workers_.load() < (std::min)(wanted, kMaxThreads - 1)) {
      const int thread = n_workers_.load() + 1;
      try {
        std::thread([this, thread] { live(thread); }).detach();
      } catch (const std::system_error&) {
        return;  // the system has no more threads: continue with those that exist
      }
      n_workers_.store(thread, std::memory_order_release);
    }
  }

  // A worker joins a batch by incrementing joined_ before it reads open_: either it sees that the batch is closed, or
  // close() sees the worker. (All four operations are sequentially consistent.)
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

  const int made_in_ = fork_count().load();  // in a fork, the memory of the pool is abandoned
  std::atomic<bool> busy_{false};  // one batch at a time; no mutex, since a task of the batch may call run() too
  Batch batch_;                    // written before open(), read by workers that see open_
  std::atomic<Index> next_task_{0};
  std::atomic<bool> open_{false};
  std::atomic<int> joined_{0};
  std::atomic<std::function<void()>*> job_{nullptr};

  std::mutex start_mutex_;
  std::atomic<int> n_workers_{0};

  std::atomic<std::uint64_t> calls_{0};  // batches opened and jobs offered
  std::atomic<int> n_asleep_{0};
  std::mutex sleep_mutex_;
  std::condition_variable sleepers_;
};

}  // namespace trpo_fast
