// RateLimit: how often something may happen, in all and for each of many keys (addresses, names of clients), so that
// who asks too often is told to wait and nobody else is. Buckets refill steadily. What it remembers is bounded: keys
// that have refilled are forgotten. Thread promise: one thread at a time. Times are of any steady clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace prony {

struct Rate {
  double per_s = 0;    // 0: as often as anybody likes
  double at_once = 0;  // after a rest
};

class RateLimit {
 public:
  RateLimit(Rate all, Rate each, std::size_t most_keys = 4096) : all_(all), each_(each), most_keys_(most_keys) {}
  // Whether it may happen now; then it is counted, else it is not.
  [[nodiscard]] bool may(const std::string& key, std::int64_t now_ns);
  [[nodiscard]] std::size_t keys() const noexcept { return each_left_.size(); }

 private:
  struct Bucket {
    double left = 0;
    std::int64_t at_ns = 0;
  };
  void forget(std::int64_t now_ns);

  Rate all_, each_;
  std::size_t most_keys_;
  Bucket whole_;
  bool begun_ = false;
  std::map<std::string, Bucket> each_left_;
};

}  // namespace prony
