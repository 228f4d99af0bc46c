// PackageParts: one counter of CPU time as counters of its packages. Somebody looks now and then where time was used
// (place); in between, and for time whose user was never seen, the distribution of the last look holds. The parts add
// up to the whole at every reading and never step back: what a look corrects is made good by what comes next.
// Units: ns. Thread promise: a plain value. Why and how far it can be trusted: docs/methodology.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/sample.hpp"

namespace prony {

class PackageParts {
 public:
  PackageParts() = default;
  // `first`: the distribution before any look told one; of what sum it likes.
  explicit PackageParts(const std::vector<double>& first);

  // Where time is thought to be used until a look tells; of what sum it likes. A sum of 0 changes nothing.
  void expect(const std::vector<double>& weights);

  [[nodiscard]] std::size_t count() const noexcept { return weights_.size(); }
  // CPU time that was seen to be used on each package since the last look; may be called several times a look.
  void place(std::span<const std::int64_t> used_ns) noexcept;
  // Ends a look. `total_ns`: the whole at that time; `pending_ns`: of it, what those who live have used and a later
  // look will place. What stays over for a few looks is of somebody who is gone: it is placed by the distribution.
  void finish_look(std::int64_t total_ns, std::int64_t pending_ns) noexcept;
  // The parts of the whole as it is now.
  void show(std::int64_t total_ns, std::span<Reading> out) noexcept;

 private:
  void spread(std::int64_t ns) noexcept;

  std::vector<double> weights_;     // sum 1
  std::vector<std::int64_t> look_;  // placed in this look
  std::vector<std::int64_t> sure_;  // placed in all
  std::vector<std::int64_t> shown_;
  std::vector<double> gaps_;  // of show(), kept for their memory
  std::int64_t sure_sum_ = 0, shown_sum_ = 0;
  std::array<std::int64_t, 4> over_{};  // what the last looks left over
  std::size_t next_over_ = 0;
};

}  // namespace prony
