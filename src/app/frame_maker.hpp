// FrameMaker: ticks in, frames out: what a monitor's sinks are told at each interval. Joules come from attribute(),
// fold by fold: a fold ends after a minute and the next begins with the tick at which it ended, so that months of
// monitoring take no more memory than a minute and every joule is counted once. Counters only ever rise. A frame is
// made once every lane that keeps up has passed its time, so that no lane is behind another in it. Thread promise: one
// thread (the one that carries ticks). Ownership: owns all. Pure but for the anchor it is handed.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/counter.hpp"
#include "model/sample.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

// The words of --metrics: "cpu,memory,network,disk,power,gpu,temperature,clock".
struct Metrics {
  std::vector<std::string> words;  // empty: all
  [[nodiscard]] bool has(std::string_view word) const;
  // Whether what this channel tells is asked for.
  [[nodiscard]] bool wants(const Channel& channel) const;
  // Whether a sensor is worth reading: it tells what is asked for, or joules are split by it.
  [[nodiscard]] bool needs(const Channel& channel) const;
};
// Errors: usage, with all words.
[[nodiscard]] Result<Metrics> parse_metrics(std::string_view text);

struct FramePlan {
  std::vector<Channel> channels;
  std::vector<Group> groups;
  std::vector<std::string> targets;  // Target::name, in the Run's order
  Duration interval;                 // between frames
  Metrics metrics;
};

class FrameMaker {
 public:
  explicit FrameMaker(FramePlan plan);

  [[nodiscard]] const std::vector<Series>& series() const noexcept { return series_; }
  // Every block that the sampler hands out, each group's in time order.
  void see(const TickBlock& block);
  // Makes the frames that are due and complete; `anchor`: the two clocks now. `last`: all that is there, for the
  // recording has ended.
  void make(const Anchor& anchor, bool last, const std::function<void(Frame)>& take);

 private:
  struct Tick {
    Instant begin, end;
    std::vector<Reading> readings;
  };
  struct Lane {
    Group group;
    std::deque<Tick> waiting;
    std::optional<Tick> before;  // the last one that was folded
    bool keeps_up = false;       // its ticks come as often as frames
  };
  struct Count {  // a counter channel, wraps and restarts undone
    CounterRules rules;
    std::optional<std::uint64_t> before;
    Instant before_at;
    double sum = 0;
  };

  // Where the series of an energy-giving channel stand; targets, then "others", "prony", "unattributed".
  struct Energy {
    ChannelId channel;
    std::size_t power = 0, gross = 0, first_charged = 0;
    double gross_before = 0;  // at the reading before the newest
    Instant at_before;        // when that was
    std::optional<double> watts;
  };
  // What a counter series has told so far: the folds that ended, and the highest, below which it never falls.
  struct Sum {
    double ended = 0, now = 0, told = 0;
    bool known = false;
  };

  void add_series();
  void add_token_series();
  void tell_tokens(Frame& frame);
  void add_energy_series(const Channel& channel);
  [[nodiscard]] const Lane* lead() const;
  [[nodiscard]] bool stands(ChannelId channel, Instant at) const;
  [[nodiscard]] Instant complete_until(bool last) const;
  void fold_until(Instant until);
  void note(const Channel& channel, const Reading& reading, const Tick& tick);
  void begin_fold(Instant at);
  [[nodiscard]] Frame frame_at(Instant at, const Anchor& anchor);
  void take_ledger(const Ledger& ledger);
  void take(std::size_t series, const std::optional<Estimate>& joules);
  void tell_power(Energy& energy, Frame& frame);

  FramePlan plan_;
  std::vector<Series> series_;
  std::vector<Lane> lanes_;
  std::unique_ptr<Attribution> fold_;
  Instant fold_began_;
  std::optional<Instant> last_frame_;
  std::vector<Energy> energies_;
  std::vector<Sum> sums_;                      // per series
  std::vector<std::optional<double>> newest_;  // per channel: gauges
  std::vector<Instant> newest_at_;             // per channel: of its newest reading
  std::vector<Duration> pace_;                 // per channel: of its lane
  std::vector<Count> counts_;                  // per channel
  // What servers count: their output tokens, and gross joules of each energy row, a minute back.
  struct TokenPoint {
    Instant at;
    double tokens = 0;
    std::vector<std::optional<double>> gross;
  };
  std::vector<ChannelId> token_channels_;
  std::size_t token_rate_ = 0, first_token_energy_ = 0;  // places of series
  std::deque<TokenPoint> token_points_;
};

}  // namespace prony::app
