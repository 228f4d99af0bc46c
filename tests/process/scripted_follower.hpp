// A follower of a scripted machine, and what tests ask it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "scripted_proc.hpp"

namespace prony::testing_process {

constexpr std::int64_t ms = 1'000'000;

struct Followed {
  std::unique_ptr<ProcessFollower> follower;
  std::vector<Reading> readings;
  std::int64_t cpu_ns(std::size_t target) { return readings.at(2 * target).raw; }
  void read() {
    readings.resize(follower->sensor().channels().size());
    follower->sensor().read(readings);
  }
  void look() {
    follower->look_now();
    read();
  }
  std::vector<std::string> members(const std::string& target) {
    std::vector<std::string> names;
    for (const auto& record : follower->processes())
      if (!record.exited && record.target == target) names.push_back(record.name);
    std::sort(names.begin(), names.end());
    return names;
  }
};

inline TargetChoice choice(SelectorKind kind, std::string_view text) {
  auto parsed = parse_target_choice(kind, text);
  EXPECT_TRUE(parsed) << parsed.error().what;
  return parsed.value_or(TargetChoice{});
}

inline Followed follow(ScriptedProc& proc, std::vector<TargetChoice> choices, FollowOptions options = {}) {
  options.own_pid = 99999;
  auto made = ProcessFollower::create(proc.machine, std::move(choices), std::move(options));
  EXPECT_TRUE(made) << made.error().what;
  Followed followed{made ? std::move(*made) : nullptr, {}};
  if (followed.follower) followed.read();
  return followed;
}

using Names = std::vector<std::string>;

// A mechanism of births and ends that a test scripts.
class ScriptedEvents final : public LifeEvents {
 public:
  std::string name() const override { return "exit-events"; }
  void read(LifeBatch& batch) override {
    batch.births.insert(batch.births.end(), next.births.begin(), next.births.end());
    batch.ends.insert(batch.ends.end(), next.ends.begin(), next.ends.end());
    batch.lost = batch.lost || next.lost;
    batch.lost_ns += next.lost_ns;
    next.clear();
  }
  LifeBatch next;
};

struct Told {
  ScriptedEvents* events = nullptr;
  Followed followed;
};
inline Told follow_told(ScriptedProc& proc, std::vector<TargetChoice> choices, bool each_process = true) {
  auto events = std::make_unique<ScriptedEvents>();
  Told told{events.get(), {}};
  FollowOptions options;
  options.each_process = each_process;
  options.events = std::move(events);
  told.followed = follow(proc, std::move(choices), std::move(options));
  return told;
}

}  // namespace prony::testing_process
