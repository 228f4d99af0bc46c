// LoadPlan: how many requests at which times, in one level or in several one after another; and what the driver saw of
// each level, from which the next one may be chosen. Plain values. Units are in the names; times are on
// CLOCK_MONOTONIC, offsets from the begin of the level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace prony {

inline constexpr std::size_t most_streams = 4096;  // the protocol's bound

struct LoadLevel {
  std::string name;         // for people: "4 streams", "Poisson, 5/s"
  std::size_t streams = 1;  // at most so many under way at once
  // Open: when each request is to be sent, ascending, whatever the answers do. Empty: closed, each of the streams sends
  // its next request once it has its answer, after `think_ns`.
  std::vector<std::int64_t> times_ns = {};
  std::int64_t think_ns = 0;
  // Closed: how many requests are begun, for how long some are begun. With both, whichever is reached first; with
  // `until_both`, both must be.
  std::optional<std::size_t> requests = {};
  std::optional<std::int64_t> for_ns = {};
  bool until_both = false;
  // Closed: streams begin together, and all wait for the last answer (MLPerf's MultiStream).
  bool in_step = false;

  [[nodiscard]] bool open() const noexcept { return !times_ns.empty(); }
};

// One request as its reply told it, for deciding what comes next: what is reported comes from the spans.
struct RequestSeen {
  enum class End { ok, failed, cancelled };
  End end = End::ok;
  std::int64_t due_ns = 0;  // offset from the level's begin: scheduled, or sent to the worker
  std::optional<std::int64_t> late_ns, ttft_ns, decode_ns, output_tokens;
};

struct LevelSeen {
  std::size_t number = 0;  // from 1
  std::vector<RequestSeen> requests;
  std::size_t withdrawn = 0;   // scheduled and never begun
  bool oversaturated = false;  // queue and waiting times only grew: it was ended early
  std::int64_t length_ns = 0;  // to the last answer
};

struct LoadPlan {
  // The next level, after the one that was seen (nullptr: the first); nothing: the load is over.
  std::function<std::optional<LoadLevel>(const LevelSeen* last)> next_level;
  std::function<std::string()> conclusion = {};  // after the last level: what a search found, in words
  // Of a prompt without a text: that of request number `place`, from 0.
  std::function<std::string(std::size_t place)> text_of = {};
  std::size_t most_streams = 1;  // of all levels
  bool several_levels = false;   // requests then carry the number of theirs
  bool stop_oversaturated = false;
  std::optional<std::size_t> requests = {};  // of all levels, where it is known
};

}  // namespace prony
