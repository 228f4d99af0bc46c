// Learning a passport from reads that were already made: pure, so that a Run's ticks teach as well as a watch does.
// Units: times in ns on the monotonic clock, readings as read (Channel::scale leads to the unit). Thread promise: pure
// functions. Ownership: the columns are borrowed for the call. Nothing fails: what cannot be told is absent, with the
// reason. Source of what counters do: Khan et al., "RAPL in Action" (2018): ~1 ms updates with jitter, no time stamp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/channel.hpp"
#include "model/passport.hpp"
#include "model/sample.hpp"

namespace prony::passport {

// One channel's reads in time order: columns of equal length.
struct Ticks {
  std::span<const std::int64_t> begin_ns, end_ns, raw;
  std::span<const Quality> quality;
};

struct LearnContext {
  std::string learned_utc;
  std::string learned_by;  // "probe", "run"
  std::string boot_id;
  bool reads_alone = false;         // begin → end is one read of this channel's sensor and of nothing else
  std::vector<Instant> load_steps;  // when the load was known to change at once; may be empty
};

[[nodiscard]] ChannelPassport learn_channel(const Channel& channel, const Ticks& ticks, const LearnContext& context);

// Duplicates and containment among channels read in the same ticks: fills duplicate_of and contained_in of `passports`
// (same order as `channels` and `ticks`; part_of is an index into them).
void learn_relations(std::span<const Channel> channels, std::span<const Ticks> ticks,
                     std::span<ChannelPassport> passports);

}  // namespace prony::passport
