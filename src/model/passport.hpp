// Passport: what was learned about a channel by watching it: when it renews its value, how large its steps are, what
// it averages, what a read costs. Plain data; src/passport learns it, the Run file and a file per machine keep it.
// Whatever could not be learned is absent, and `absent` says why. Thread promise: plain values, owning their strings.
// Times are on the monotonic clock; `step` and `noise_rms` are in the channel's unit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/manifest.hpp"
#include "model/time.hpp"

namespace prony {

inline constexpr int passport_version = 1;

struct ChannelPassport {
  std::string channel;      // Channel::name
  std::string unit;         // of step and noise
  std::string learned_utc;  // ISO 8601
  std::string learned_by;   // "probe": watched for its own sake; "run": from the ticks of a Run
  std::string boot_id;      // boot in which it was learned: `phase` means nothing in another
  int version = passport_version;
  Duration watched;
  std::uint64_t reads = 0;  // without the gaps
  std::uint64_t gaps = 0;
  std::uint64_t transitions = 0;  // reads that gave another value than the read before

  std::optional<Duration> poll;           // median distance of reads
  std::optional<Duration> update_period;  // mean distance of updates
  std::optional<Duration> period_spread;  // the true mean lies within ± this (95 %)
  std::optional<Duration> faster_than;    // updates come at least this often; set where the period is not resolved
  std::optional<Instant> phase;           // an update happened here, give or take phase_doubt; the others lie
  std::optional<Duration> phase_doubt;    // whole periods away. Both absent where updates keep no grid
  std::optional<Duration> jitter;         // RMS distance of single updates from their grid, reads' own blur taken off
  std::optional<Duration> averaging_window;  // each reading is the mean over this long before it
  std::string averaging_how;                 // how that was told
  std::optional<double> step;                // greatest common step of the changes seen
  std::optional<double> noise_rms;           // gauge: of a reading; counter: of the increment of one update. While
                                             // watched: load that moved meanwhile is in it
  std::optional<Duration> read_cost;         // median
  std::optional<Duration> worst_latency;     // longest read
  std::optional<Duration> slows_others;      // time that another CPU loses by one read (lock, interrupt)
  std::string duplicate_of;                  // channel that shows the same numbers; empty: none seen
  std::string contained_in;                  // hint only: a channel that always grew at least as much, and with it

  std::vector<std::string> notes;
  std::vector<Unavailable> absent;  // subject: the name of the field above; reason

  [[nodiscard]] const std::string* why_absent(std::string_view field) const {
    for (const Unavailable& entry : absent)
      if (entry.subject == field) return &entry.reason;
    return nullptr;
  }
};

// The passports of one machine. `identity` is made of facts that are no secret and stay: processor, board, kernel.
struct MachinePassport {
  std::string identity;
  std::string cpu_model, board, kernel;
  std::vector<ChannelPassport> channels;

  [[nodiscard]] const ChannelPassport* find(std::string_view channel) const {
    for (const ChannelPassport& passport : channels)
      if (passport.channel == channel) return &passport;
    return nullptr;
  }
};

}  // namespace prony
