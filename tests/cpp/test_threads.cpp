// The thread pool and background tasks: every task once, the same bits on any number of threads, and no harm from
// nesting, concurrent use, exceptions and forks.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "problems.hpp"
#include "trpo_fast/actor.hpp"
#include "trpo_fast/fisher/fisher_operator.hpp"
#include "trpo_fast/network/evaluator.hpp"
#include "trpo_fast/objectives/surrogate.hpp"
#include "trpo_fast/parallel/background_task.hpp"
#include "trpo_fast/parallel/fork_safe_mutex.hpp"
#include "trpo_fast/recycled_memory.hpp"
#include "trpo_fast/solvers/conjugate_gradient.hpp"
#include "trpo_fast/solvers/value_fit.hpp"
#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace trpo_fast::tests {
namespace {

constexpr int kThreadCounts[] = {1, 2, 3, 4, 7};

template <class Array>
bool same_arrays(const Array& a, const Array& b) {
  return a.size() == b.size() && std::equal(a.data(), a.data() + a.size(), b.data(), same_bits<typename Array::Scalar>);
}

// Adds up 1..n_tasks on the pool.
Index sum_of_tasks(Index n_tasks, int n_threads) {
  std::atomic<Index> sum{0};
  ThreadPool::instance().run(n_tasks, n_threads, [&](Index task, int thread) {
    if (thread < 0 || thread >= n_threads) std::abort();
    sum += task + 1;
  });
  return sum;
}

TEST(every_task_is_done_once) {
  for (const int n_threads : kThreadCounts) {
    for (const Index n_tasks : {0, 1, 2, 5, 16, 100}) {
      for (int repetition = 0; repetition < 50; ++repetition) {
        std::vector<std::atomic<int>> done(static_cast<std::size_t>(n_tasks));
        ThreadPool::instance().run(n_tasks, n_threads,
                                   [&](Index task, int) { ++done[static_cast<std::size_t>(task)]; });
        for (const auto& count : done) CHECK(count == 1, "threads", n_threads, "tasks", n_tasks);
      }
    }
  }
}

TEST(batches_wake_sleeping_workers) {
  for (const int milliseconds : {0, 1, 20}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    std::atomic<bool> helped{false};
    ThreadPool::instance().run(2, 2, [&](Index, int thread) {
      if (thread == 1) helped = true;
      while (!helped) std::this_thread::yield();  // thread 0 waits for the other one
    });
    CHECK(helped, "after", milliseconds);
  }
}

TEST(batches_nest) {
  std::atomic<Index> sum{0};
  ThreadPool::instance().run(8, 4, [&](Index, int) { sum += sum_of_tasks(10, 4); });
  CHECK(sum == 8 * 55, "sum", sum.load());
}

TEST(batches_of_several_threads_at_once) {
  std::vector<std::thread> users;
  std::atomic<int> wrong{0};
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += sum_of_tasks(20, 3) != 210;
    });
  }
  for (std::thread& user : users) user.join();
  CHECK(wrong == 0, "wrong", wrong.load());
}

TEST(an_exception_of_the_caller_ends_the_batch) {
  constexpr Index n_tasks = 1000;
  for (int i = 0; i < 20; ++i) {
    bool caught = false;
    std::atomic<bool> thrown{false};
    std::atomic<Index> n_begun{0};
    try {
      ThreadPool::instance().run(n_tasks, 4, [&](Index, int thread) {
        ++n_begun;
        if (thread == 0) {
          thrown = true;
          throw std::runtime_error("stop");
        }
        while (!thrown) std::this_thread::yield();  // or the others might do them all
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    CHECK(caught && n_begun < n_tasks, "repetition", i, "tasks begun", n_begun.load());
    CHECK(sum_of_tasks(20, 4) == 210, "repetition", i);
  }
}

// --- the same bits on any number of threads

const PolicySpec kUnevenPolicy{"", {{17, 33, 6}, Activation::tanh, true}, {{Kind::gaussian, 6}}};

// What a policy update computes, in one vector
template <class Scalar>
Vector<double> update_results(const Problem<Scalar>& p, int n_threads) {
  const Index size = p.theta.size(), n_rows = p.x.rows();
  RowMatrix<Scalar> phi(n_rows, p.network.output_size());
  forward<Scalar>(p.network, p.theta.data(), view(p.x), MatrixView<Scalar>(phi.data(), n_rows, phi.cols()), n_threads);
  const SurrogateObjective<Scalar> objective(p.network, *p.distribution, p.theta_view(), view(p.x), view(p.actions),
                                             p.advantages_view(), 0.25, n_threads);
  Vector<double> gradient(size), product(size);
  objective.gradient(gradient.data());
  FisherOperator<Scalar> fisher(*p.distribution, p.linearization(n_threads), 0.1, n_threads);
  fisher.multiply(gradient.data(), product.data());
  const CGResult cg = conjugate_gradient(fisher, {gradient.data(), size}, 5, 0.0);
  const Vector<Scalar> theta_new = p.theta + (0.01 * cg.x / cg.x.norm()).template cast<Scalar>();
  const ObjectiveValue value = objective.evaluate(theta_new.data());
  Vector<double> all(phi.size() + 3 * size + 4);
  all << ConstVectorView<Scalar>(phi.data(), phi.size()).template cast<double>(), gradient, product, cg.x,
      value.surrogate, value.mean_kl, value.max_kl, value.entropy;
  return all;
}

TEST_BOTH(same_bits_on_any_number_of_threads) {
  for (const Index n_rows : {Index(1), Index(65), Index(2500)}) {
    const Problem<Scalar> p(kUnevenPolicy, n_rows);
    const Vector<double> expected = update_results(p, 1);
    for (const int n_threads : kThreadCounts) {
      CHECK(same_arrays(update_results(p, n_threads), expected), "rows", n_rows, "threads", n_threads);
    }
  }
}

// More slots than are summed up at a time
TEST_BOTH(same_bits_of_many_slots) {
  const PolicySpec small{"", {{2, 3, 2}, Activation::relu, false}, {{Kind::categorical, 2}}};
  const Problem<Scalar> p(small, kGroupSlots * kMaxSlotRows + 100);
  const Vector<double> expected = update_results(p, 1);
  for (const int n_threads : kThreadCounts)
    CHECK(same_arrays(update_results(p, n_threads), expected), "threads", n_threads);
}

// A control loop acts while updates run: each answer is that of one policy, the one before or the one after.
TEST(acting_beside_updates_sees_whole_policies) {
  constexpr int kNumUpdates = 8;
  const Problem<float> p(kUnevenPolicy, 700);
  const Index outputs = p.distribution->action_size();
  const RowMatrix<double> observation = RowMatrix<double>::Constant(1, p.x.cols(), 0.5);
  const auto make_actor = [&](int k) {  // of policy k: theta and the normaliser say which it is
    const Vector<float> theta = p.theta * (1.0f + 0.1f * static_cast<float>(k));
    const Normalizer normalizer(Vector<double>::Constant(p.x.cols(), 0.1 * k), Vector<double>::Ones(p.x.cols()), 10.0);
    return std::make_shared<Actor<float>>(p.network, *p.distribution, normalizer, theta.data());
  };
  const auto act = [&](Actor<float>& actor) {
    RowMatrix<float> action(1, outputs);
    actor.act(view(observation), {nullptr, 1, outputs}, {action.data(), 1, outputs});
    return action;
  };
  std::vector<RowMatrix<float>> expected;
  for (int k = 0; k <= kNumUpdates; ++k) expected.push_back(act(*make_actor(k)));

  std::shared_ptr<Actor<float>> committed = make_actor(0);
  std::atomic<bool> stop{false};
  std::atomic<int> num_strange{0}, num_acts{0};
  std::vector<std::thread> loops;
  for (int i = 0; i < 2; ++i) {
    loops.emplace_back([&] {
      while (!stop) {
        const RowMatrix<float> action = act(*std::atomic_load(&committed));
        const auto is_action = [&](const RowMatrix<float>& other) { return same_arrays(action, other); };
        if (std::none_of(expected.begin(), expected.end(), is_action)) ++num_strange;
        ++num_acts;
      }
    });
  }
  for (int k = 1; k <= kNumUpdates; ++k) {
    const int before = num_acts;
    update_results(p, 3);
    std::atomic_store(&committed, make_actor(k));
    while (num_acts < before + 4) std::this_thread::yield();  // a loop acted, on this policy too
  }
  stop = true;
  for (std::thread& loop : loops) loop.join();
  CHECK(num_strange == 0, "answers of no policy", num_strange.load());
}

// --- background tasks

const BackgroundTask::Poll kNoPoll = [] {};

// A critic's fit and what it arrives at
template <class Scalar>
struct Fit {
  Network<Scalar> network = make_network<Scalar>({{4, 9, 1}, Activation::tanh, false});
  Random random{11};
  Index size = network.num_params();
  RowMatrix<Scalar> x = random.matrix<Scalar>(500, 4);
  Vector<Scalar> targets = random.vector<Scalar>(500);
  Vector<Scalar> theta = random.vector<Scalar>(size), moments = Vector<Scalar>::Zero(size);
  RowMatrix<std::int64_t> order =
      RowMatrix<std::int64_t>::NullaryExpr(20, 500, [](Index epoch, Index i) { return (epoch + 3 * i) % 500; });
  ValueFit<Scalar> fit{network,
                       view(x),
                       {targets.data(), 500},
                       view(order),
                       100,
                       {0.01},
                       {{theta.data(), size}, {moments.data(), size}, {moments.data(), size}, 0}};

  Vector<Scalar> result() const {
    Vector<Scalar> all(3 * size);
    fit.read({all.data(), size}, {all.data() + size, size}, {all.data() + 2 * size, size});
    return all;
  }
};

TEST_BOTH(a_fit_in_the_background_has_the_same_bits) {
  Fit<Scalar> here, there;
  here.fit.run([] {});
  BackgroundTask task([&](const BackgroundTask::Poll& poll) { there.fit.run(poll); });
  task.start();
  const Problem<Scalar> p(kUnevenPolicy, 500);
  const Vector<double> busy = update_results(p, 3);
  task.finish(kNoPoll);
  CHECK(same_arrays(here.result(), there.result()), "P", here.size);
  CHECK(same_arrays(busy, update_results(p, 1)), "rows", p.x.rows());
}

TEST(a_task_is_done_once_whoever_does_it) {
  for (int i = 0; i < 1000; ++i) {
    std::atomic<int> count{0};
    {
      BackgroundTask task([&](const BackgroundTask::Poll&) { ++count; });
      if (i % 4 != 0) task.start();
      if (i % 3 == 0) std::this_thread::yield();
      if (i % 5 != 0) task.finish(kNoPoll);
      CHECK(i % 5 == 0 || count == 1, "repetition", i);
    }
    CHECK(count <= 1, "repetition", i);  // gone, begun or not
  }
}

TEST(many_tasks_at_once) {
  for (int i = 0; i < 200; ++i) {
    std::atomic<int> count{0};
    std::vector<std::unique_ptr<BackgroundTask>> tasks;
    for (int k = 0; k < 5; ++k) {
      tasks.push_back(std::make_unique<BackgroundTask>([&](const BackgroundTask::Poll&) { ++count; }));
      tasks.back()->start();
    }
    for (const auto& task : tasks) task->finish(kNoPoll);
    CHECK(count == 5, "repetition", i);
  }
}

TEST(a_task_that_throws_is_heard_by_finish) {
  for (const bool started : {false, true}) {
    BackgroundTask task([](const BackgroundTask::Poll&) { throw std::out_of_range("mine"); });
    if (started) task.start();
    bool caught = false;
    try {
      task.finish(kNoPoll);
    } catch (const std::out_of_range&) {
      caught = true;
    }
    CHECK(caught, "started", started);
  }
}

// Goes on until it is cancelled.
class Endless {
 public:
  explicit Endless(bool& ended)
      : task_([&](const BackgroundTask::Poll& poll) {
          running_ = true;
          try {
            for (;;) poll();
          } catch (...) {
            ended = true;
            throw;
          }
        }) {}

  void start() {
    while (!running_) {
      task_.start();  // again: no worker may have been free
      std::this_thread::yield();
    }
  }
  void finish(const BackgroundTask::Poll& poll) { task_.finish(poll); }

 private:
  std::atomic<bool> running_{false};
  BackgroundTask task_;  // last: it ends before the others go
};

TEST(a_poll_that_throws_cancels_the_task) {
  for (const bool started : {false, true}) {
    bool ended = false;
    Endless endless(ended);
    if (started) endless.start();
    bool caught = false;
    try {
      endless.finish([] { throw std::domain_error("Ctrl-C"); });
    } catch (const std::domain_error&) {
      caught = true;
    }
    CHECK(caught && ended, "started", started);
    CHECK(sum_of_tasks(20, 4) == 210, "started", started);
  }
}

TEST(a_running_task_is_cancelled_with_its_object) {
  for (int i = 0; i < 20; ++i) {
    bool ended = false;
    Endless(ended).start();  // and gone
    CHECK(ended, "repetition", i);
  }
}

#if defined(__unix__)
// Exit status of a child that works on the pool, and takes and gives memory, too
int status_of_child() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // rather than hang
    const RecycledMemory memory(std::size_t(1) << 16);
    _exit(sum_of_tasks(100, 4) == 5050 && sum_of_tasks(100, 3) == 5050 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(the_pool_survives_a_fork) {
  for (const int milliseconds : {0, 5}) {  // workers that spin, and workers that sleep
    CHECK(sum_of_tasks(100, 4) == 5050, "after", milliseconds);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    CHECK(status_of_child() == 0, "after", milliseconds);
    CHECK(sum_of_tasks(100, 4) == 5050, "after", milliseconds);
  }
}

// A child has no other thread, and what those held stays locked.
TEST(a_fork_amid_the_work_of_another_thread) {
  for (int i = 0; i < 40; ++i) {
    std::atomic<bool> stop{false};
    std::thread user([&] {
      while (!stop) {
        const RecycledMemory memory(std::size_t(1) << 16);
        sum_of_tasks(i % 2 == 0 ? 1 : 100, 3);  // now mostly memory, now mostly batches
      }
    });
    const int status = status_of_child();
    stop = true;
    user.join();
    CHECK(status == 0, "repetition", i);
  }
}

TEST(a_fork_while_another_thread_holds_a_mutex) {
  ForkSafeMutex mutex;
  std::atomic<bool> is_held{false}, leave{false};
  std::thread holder([&] {
    const std::lock_guard<ForkSafeMutex> lock(mutex);
    is_held = true;
    while (!leave) std::this_thread::yield();
  });
  while (!is_held) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // rather than hang
    for (int i = 0; i < 2; ++i) const std::lock_guard<ForkSafeMutex> lock(mutex);
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  leave = true;
  holder.join();
  CHECK(status == 0, "status", status);
  const std::lock_guard<ForkSafeMutex> lock(mutex);  // the parent's is as before
}

// A task whose thread is one of the parent's cannot end in a child: waiting for it would never end either.
TEST(a_fork_while_a_task_runs) {
  std::atomic<bool> runs{false}, leave{false};
  BackgroundTask task([&](const BackgroundTask::Poll&) {
    runs = true;
    while (!leave) std::this_thread::yield();
  });
  task.start();
  while (!runs) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    try {
      task.finish([] {});
    } catch (const std::runtime_error&) {
      _exit(0);
    }
    _exit(1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  leave = true;
  task.finish([] {});
  CHECK(status == 0, "status", status);
}
#endif

}  // namespace
}  // namespace trpo_fast::tests
