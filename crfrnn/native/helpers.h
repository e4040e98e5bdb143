// Threads for short loops, on machines that may be busy with other things.
//
// Not OpenMP: at the end of every loop its threads wait for the last one, burning whole time slices where a core is busy
// elsewhere (measured: a filter of 2 ms took 20), and after a fork it hangs. Here the caller works off whatever parts no
// helper has taken, so helpers only ever make it faster; who waits longer than an instant sleeps.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace crfrnn {

// The points come in this many parts, the units that threads share out (see Lattice::seen); more threads are not used.
constexpr int kParts = 64;

// OMP_NUM_THREADS, which everybody knows, or else the cores this process may use. Read once.
inline int max_threads() {
  static const int threads = [] {
    const char* wanted = std::getenv("OMP_NUM_THREADS");
    int number = wanted ? std::atoi(wanted) : 0;
#if defined(__linux__)
    cpu_set_t cores;
    if (number < 1 && sched_getaffinity(0, sizeof(cores), &cores) == 0) number = CPU_COUNT(&cores);
#endif
    if (number < 1) number = static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(number, 1, kParts);
  }();
  return threads;
}

class Helpers {
 public:
  // Calls body(data, part) for part = 0..parts-1, by the caller and whichever helpers are awake, and returns when all are
  // done. One call at a time (see parallel). The body must not throw.
  void run(int parts, void (*body)(void*, int), void* data) {
    body_ = body, data_ = data;
    done_.store(0, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(job << 32 | static_cast<uint64_t>(parts) << 16);
    if (sleeping_.load() > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      work_.notify_all();
    }
    while (work_one_part()) {
    }
    auto finished = [&] { return done_.load(std::memory_order_acquire) == parts; };
    if (spin_until(finished)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, finished);
  }

  // One set per process: the threads of the parent of a fork are not in the child.
  static Helpers& instance() {
    static std::mutex mutex;
    static Helpers* helpers = nullptr;  // never destroyed: its threads may outlive main()
    static int64_t owner = 0;
    std::lock_guard<std::mutex> lock(mutex);
    if (!helpers || owner != process()) helpers = new Helpers(max_threads() - 1), owner = process();
    return *helpers;
  }

 private:
  // Which job (32 bits), of how many parts (16), and how many of them are taken (16), in one number: a part is taken by
  // counting it, which fails if another job has begun. body_ and data_ are written before, and not again until all parts
  // are done, so whoever took one reads those of its job.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int> done_{0};
  std::atomic<int> sleeping_{0};
  void (*body_)(void*, int) = nullptr;
  void* data_ = nullptr;
  std::mutex mutex_;
  std::condition_variable work_, all_done_;

  explicit Helpers(int threads) {
    for (int i = 0; i < threads; ++i) {
      try {
        std::thread([this] { help(); }).detach();
      } catch (const std::system_error&) {
        return;  // the system gives no more threads: go on with those there are
      }
    }
  }

  static bool parts_left(uint64_t ticket) { return (ticket & 0xFFFF) < (ticket >> 16 & 0xFFFF); }

  bool work_one_part() {
    uint64_t ticket = ticket_.load();
    while (parts_left(ticket)) {
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
      const int parts = static_cast<int>(ticket >> 16 & 0xFFFF);
      body_(data_, static_cast<int>(ticket & 0xFFFF));
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
        std::lock_guard<std::mutex> lock(mutex_);
        all_done_.notify_all();
      }
      return true;
    }
    return false;
  }

  void help() {
    auto work = [this] { return parts_left(ticket_.load()); };
    for (;;) {
      while (work_one_part()) {
      }
      if (spin_until(work)) continue;
      std::unique_lock<std::mutex> lock(mutex_);
      sleeping_.fetch_add(1);
      work_.wait(lock, work);
      sleeping_.fetch_sub(1);
    }
  }

  // The loops of a filter follow each other within microseconds; going to sleep and waking up takes some fifty.
  template <class Condition>
  static bool spin_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    do {
      for (int i = 0; i < 32; ++i) {
        if (condition()) return true;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
    return condition();
  }

  static void pause() {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    __builtin_ia32_pause();
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    asm volatile("yield");
#endif
  }

  static int64_t process() {
#if defined(_WIN32)
    return 1;
#else
    return getpid();
#endif
  }
};

// Held by the loop that the helpers work on.
inline std::mutex& helpers_turn() {
  static std::mutex instance;
  return instance;
}

}  // namespace crfrnn
