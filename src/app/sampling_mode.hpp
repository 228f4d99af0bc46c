// When the sampler samples, told by what the workload does: always; only while requests are under way; once after each
// (the three modes of MonitorSystem); or on and off in turns, to see what sampling costs. A lane that rests makes no
// tick: counters lose nothing by it, a gauge has a gap there and says so. Thread promise: update() from the driver's
// thread; the session must outlive it. Errors: usage.
#pragma once

#include <cstdint>
#include <string_view>

#include "app/session.hpp"
#include "base/result.hpp"
#include "workloads/workload.hpp"

namespace prony::app {

enum class SamplingMode { continuous, while_requests, after_each, intrusion_test };
[[nodiscard]] Result<SamplingMode> sampling_mode_from(std::string_view word);

class SamplingPace {
 public:
  SamplingPace(SamplingMode mode, Session& session, Machine& machine);
  void update(const Progress& progress);
  // The workload is over: all goes on as before.
  void finish();

 private:
  void rest();
  void wake();
  void account();
  [[nodiscard]] bool wanted(const Progress& progress) const;

  SamplingMode mode_;
  Session& session_;
  Machine& machine_;
  bool in_request_ = false, resting_ = false;
  // Of the intrusion test: what this process used with the sampler on and off, while requests ran.
  Instant since_;
  Duration cpu_since_;
  double wall_s_[2] = {0, 0}, cpu_s_[2] = {0, 0};  // [resting]
};

}  // namespace prony::app
