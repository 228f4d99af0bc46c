// LiveCharges: what requests are charged while the recording goes on: attribute() over the ticks around them, as soon
// as the lanes have passed their end. The same rules as the finished Run's, over a part of it: provisional, for the Run
// knows more afterwards (a sensor's passport, a request still on its way that turns out to be another host's). Pure: no
// descriptors, no clock, no thread. Thread promise: one thread at a time. Bounds: 32 MiB of ticks; a request that began
// before the oldest of them has no joules here, with that reason.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "model/channel.hpp"
#include "model/sample.hpp"
#include "model/span.hpp"

namespace prony::app {

struct LivePlan {
  std::vector<Channel> channels;
  std::vector<Group> groups;
  std::vector<std::string> targets;  // Target::name, in the Run's order
  std::string requests_target;       // whose joules requests share
};

// Of one request, over all headline channels.
struct LiveCharge {
  SpanId span;
  std::optional<Estimate> charged, gross;
  Origin origin = Origin::measured;   // modelled if any of them is
  std::vector<std::string> channels;  // their names
  std::string absent;                 // why there are no joules
};

class LiveCharges {
 public:
  static constexpr std::size_t most_bytes = std::size_t{32} << 20;

  explicit LiveCharges(LivePlan plan);

  void see(const TickBlock& block);
  // On its way: it shares what is charged meanwhile. Its end is not looked at.
  void began(const Span& request);
  void ended(const Span& request);  // by its id; one that never began here is taken all the same
  void forget(SpanId request);      // it was no request of this machine's
  // Those that ended and whose joules can be told: every lane that still ticks has passed the end. `last`: all of them.
  [[nodiscard]] std::vector<LiveCharge> settle(Instant now, bool last);
  // Of a request that began then and goes on, until the newest tick: what it is charged, and how long that is.
  struct SoFar {
    LiveCharge charge;
    Duration covered;
  };
  [[nodiscard]] SoFar so_far(Instant begin) const;

 private:
  struct Tick {
    Instant begin, end;
    std::vector<Reading> readings;
  };
  struct Lane {
    Group group;
    std::deque<Tick> ticks;
  };

  [[nodiscard]] bool passed(Instant end, Instant now) const;
  [[nodiscard]] Ledger attribute(Interval around, std::vector<Span> spans) const;
  [[nodiscard]] LiveCharge charge_of(const Ledger& ledger, SpanId span) const;
  [[nodiscard]] std::vector<Span> sharing(Interval window) const;
  [[nodiscard]] Instant newest() const;
  [[nodiscard]] std::optional<Instant> oldest() const;
  void forget_old();

  LivePlan plan_;
  std::vector<Lane> lanes_;
  std::map<std::uint64_t, Span> open_;
  std::vector<Span> waiting_;  // ended, not told
  std::deque<Span> told_;      // as long as another that waits or is open overlaps it
  std::size_t bytes_ = 0;
};

}  // namespace prony::app
