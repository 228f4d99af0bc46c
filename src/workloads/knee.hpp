// KneeSearch: the largest rate that a server bears, by trials: doubled (or halved) from a first guess until one trial
// met the service level and a higher one did not, then bisected. Pure; plain values. LoadGen's FindPeakPerformance
// searches alike.
#pragma once

#include <cstddef>
#include <optional>

namespace prony {

class KneeSearch {
 public:
  // `first`: the rate to begin with. Ends when the two bounds are within `closeness` of each other, or after `most`.
  explicit KneeSearch(double first, double closeness = 0.05, std::size_t most = 16)
      : next_(first), closeness_(closeness), left_(most) {}

  // The rate to try; nullopt: the search is over.
  [[nodiscard]] std::optional<double> next() const;
  // What came of it.
  void tell(bool met);
  // The largest that met it and the smallest above it that did not.
  [[nodiscard]] std::optional<double> met() const noexcept { return met_; }
  [[nodiscard]] std::optional<double> missed() const noexcept { return missed_; }

 private:
  double next_, closeness_;
  std::size_t left_;
  std::optional<double> met_, missed_;
};

}  // namespace prony
