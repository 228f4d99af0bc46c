// When a warm-up is over: the last answers took alike, and the machine's temperature and power stand still; or it was
// long enough in any case. Pure; plain values; one thread. Times in s and ns, drifts by the minute. Alike: the
// coefficient of variation (n − 1) of the time for an output token, or of whole requests where an engine does not tell
// its decoding apart. Errors: usage, with the form it must have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct WarmUpRule {
  std::optional<double> cv;                   // as a share
  std::size_t window = 5;                     // of the last so many prompts
  std::optional<double> celsius_per_min;      // either way
  std::optional<double> power_share_per_min;  // of the mean power, either way
  std::int64_t over_ns = 30'000'000'000;      // the time of which drifts are told
  std::size_t most = 50;                      // prompts
  std::int64_t limit_ns = 600'000'000'000;
};
// "cv=5%,window=5,temp=1C,power=5%,over=30s,most=50,limit=10m"; at least one of cv, temp and power.
[[nodiscard]] Result<WarmUpRule> warm_up_rule(const std::string& text);

// What the machine does meanwhile; absent: not watched long enough yet.
struct WarmUpDrift {
  std::optional<double> celsius_per_min, power_share_per_min;
};

// A straight line through what was seen of late (least squares).
class Drift {
 public:
  void add(double at_s, double value);
  struct Line {
    double per_s = 0, mean = 0;
  };
  // Of the last `over_s`; absent: it was not watched for that long, or seldom (fewer than three values).
  [[nodiscard]] std::optional<Line> line(double over_s) const;
  // Nothing older than this is asked for any more: leave what is as old as any line begins.
  void forget_before(double at_s);

 private:
  std::deque<std::pair<double, double>> seen_;
};

class WarmUpJudge {
 public:
  explicit WarmUpJudge(const WarmUpRule& rule) : rule_(rule) {}
  void answered(double seconds, const std::optional<double>& seconds_a_token);
  [[nodiscard]] std::optional<double> cv() const;  // of the window; absent: it is not full
  [[nodiscard]] bool steady(const WarmUpDrift& drift) const;
  // "" or what ends it in any case.
  [[nodiscard]] std::string cap(std::size_t prompts, std::int64_t elapsed_ns) const;
  // What came of it, for the Run: warmup.prompts, warmup.steady, …
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> facts(std::size_t prompts, const WarmUpDrift& drift,
                                                                       const std::string& cap) const;

 private:
  WarmUpRule rule_;
  std::deque<std::pair<double, std::optional<double>>> times_;
};

}  // namespace prony
