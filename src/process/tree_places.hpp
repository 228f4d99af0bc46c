// TreePlaces: the CPU time of the measured command's tree by package, where there are several. A thread of its own asks
// ten times a second at most, and for a hundredth of the time at most, where the members' threads were last seen.
// Thread promise: show() from the sampler's thread, the rest from the owner's. The Machine must outlive it.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "machine/thread_places.hpp"
#include "model/package_parts.hpp"

namespace prony {

class TreePlaces {
 public:
  struct Seen {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::int64_t base_ns = 0;  // of its clock, what is not the tree's
  };
  // Gives the members of now and returns what the whole tree has used.
  using Members = std::function<std::int64_t(std::vector<Seen>&)>;

  explicit TreePlaces(Machine& machine);
  ~TreePlaces();
  TreePlaces(const TreePlaces&) = delete;
  TreePlaces& operator=(const TreePlaces&) = delete;

  [[nodiscard]] const CpuPackages& packages() const noexcept { return packages_; }
  // Nothing happens where there is one package. Asks once before it returns: `members` must not need a lock that the
  // caller holds.
  void start(Members members);
  void stop();
  void show(std::int64_t total_ns, std::span<Reading> out) noexcept;

 private:
  struct Known {
    Seen who;
    ThreadPlaces places;
  };
  void run();
  void look();

  Machine& machine_;
  const CpuPackages packages_;
  Members members_;
  std::vector<Known> known_;  // of the thread
  std::vector<Seen> seen_;
  std::mutex mutex_;
  PackageParts parts_;
  bool stop_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace prony
