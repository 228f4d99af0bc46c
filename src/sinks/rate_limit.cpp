#include "sinks/rate_limit.hpp"

#include <algorithm>

namespace prony {

namespace {

double filled(double left, std::int64_t since_ns, std::int64_t now_ns, const Rate& rate) {
  const double passed_s = static_cast<double>(std::max<std::int64_t>(0, now_ns - since_ns)) * 1e-9;
  return std::min(rate.at_once, left + passed_s * rate.per_s);
}

}  // namespace

void RateLimit::forget(std::int64_t now_ns) {
  std::erase_if(each_left_, [&](const auto& entry) {
    return filled(entry.second.left, entry.second.at_ns, now_ns, each_) >= each_.at_once;
  });
  // All of them are busy: whoever has most left is harmed least by beginning anew.
  while (each_left_.size() >= most_keys_)
    each_left_.erase(std::ranges::max_element(
        each_left_, [](const auto& a, const auto& b) { return a.second.left < b.second.left; }));
}

bool RateLimit::may(const std::string& key, std::int64_t now_ns) {
  if (!begun_) whole_ = {all_.at_once, now_ns};
  begun_ = true;
  whole_ = {filled(whole_.left, whole_.at_ns, now_ns, all_), now_ns};
  if (all_.per_s > 0 && whole_.left < 1) return false;
  if (each_.per_s > 0) {
    auto known = each_left_.find(key);
    if (known == each_left_.end()) {
      if (each_left_.size() >= most_keys_) forget(now_ns);
      known = each_left_.emplace(key, Bucket{each_.at_once, now_ns}).first;
    }
    Bucket& bucket = known->second;
    bucket = {filled(bucket.left, bucket.at_ns, now_ns, each_), now_ns};
    if (bucket.left < 1) return false;
    bucket.left -= 1;
  }
  whole_.left -= 1;
  return true;
}

}  // namespace prony
