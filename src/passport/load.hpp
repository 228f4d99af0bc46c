// Load made on purpose: threads that compute, each on a CPU of its own. They end by themselves at a deadline, whatever
// becomes of who started them. Thread promise: made and ended by one thread; work() from any.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "model/time.hpp"

namespace prony::passport {

// CPUs on which this process may run.
[[nodiscard]] std::vector<int> allowed_cpus();
// Binds the calling thread; false where that is not allowed.
bool stay_on_cpu(int cpu) noexcept;
// The calling thread's turn among others: −15 goes first where that is allowed, 0 is everybody's.
void set_turn(int nice) noexcept;
// A few µs of arithmetic that no compiler takes away.
void compute_a_little() noexcept;
[[nodiscard]] Instant live_now() noexcept;

class Burner {
 public:
  // One thread per CPU given; none runs beyond `limit` from now.
  Burner(const std::vector<int>& cpus, Duration limit);
  ~Burner() { stop(); }
  Burner(const Burner&) = delete;
  Burner& operator=(const Burner&) = delete;
  void stop();
  // Pieces of work done so far by all of them.
  [[nodiscard]] std::uint64_t work() const noexcept;

 private:
  struct Shared {
    std::atomic<bool> stop{false};
    std::vector<std::atomic<std::uint64_t>> done;
    explicit Shared(std::size_t threads) : done(threads) {}
  };
  std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
};

}  // namespace prony::passport
