#include "app/merge_clocks.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "app/common.hpp"
#include "base/text.hpp"
#include "calibrate/align.hpp"
#include "calibrate/clock_line.hpp"
#include "calibrate/request_offset.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

constexpr double clock_grid_s = 0.02;
constexpr Duration longest = milliseconds(86'400'000);

std::vector<const Span*> requests_of(const Run& run, bool good_only) {
  std::vector<const Span*> requests;
  for (const Span& span : run.spans())
    if (span.kind == SpanKind::request && span.interval.length().ns > 0 &&
        (!good_only || span.status == SpanStatus::ok))
      requests.push_back(&span);
  return requests;
}

// By what both hosts believe the time of day is; `width`: how far the two clocks of each host were read apart.
struct WallGuess {
  Duration offset, width;
};
Result<WallGuess> wall_guess_of(const Run& server, const Run& client) {
  if (server.anchors().empty() || client.anchors().empty())
    return fail(ErrorCode::malformed, "a Run without a time of day", {},
                "It was not recorded by prony run, llm or monitor.");
  // The pair that lies nearest together: wall clocks are set and slewed.
  const Anchor* s = &server.anchors().front();
  const Anchor* c = &client.anchors().front();
  for (const Anchor& one : server.anchors())
    for (const Anchor& other : client.anchors())
      if (std::llabs(one.wall_ns - other.wall_ns) < std::llabs(s->wall_ns - c->wall_ns)) s = &one, c = &other;
  return WallGuess{Duration{(c->wall_ns - c->monotonic.ns) - (s->wall_ns - s->monotonic.ns)}, s->width + c->width};
}

Result<LaidClocks> named(const MergeClockOptions& options, const WallGuess& guess) {
  const bool minus = options.offset.starts_with('-');
  const auto offset =
      duration_setting(minus ? options.offset.substr(1) : options.offset, "offset", Duration{0}, longest);
  if (!offset) return Unexpected<Error>(offset.error());
  if (options.doubt.empty())
    return fail(ErrorCode::usage, "an offset that is named needs its doubt", "--doubt",
                "How far it may be off:  --offset 3ms --doubt 500us   (chronyc tracking: root dispersion + delay / 2)");
  const auto doubt = duration_setting(options.doubt, "doubt", Duration{0}, longest);
  if (!doubt) return Unexpected<Error>(doubt.error());
  return LaidClocks{guess.offset + Duration{minus ? -offset->ns : offset->ns},
                    *doubt + guess.width,
                    "as named",
                    "the wall clocks' offset was named",
                    {},
                    0,
                    {}};
}

// No one offset fits: perhaps one clock runs faster than the other.
std::optional<LaidClocks> by_drifting_requests(const std::vector<const Span*>& served,
                                               const std::vector<calibrate::SeenRequest>& theirs,
                                               const std::vector<calibrate::SeenRequest>& mine,
                                               const calibrate::OffsetSearch& search) {
  const auto line = calibrate::clock_line_of_requests(theirs, mine, search);
  if (!line) return std::nullopt;
  LaidClocks clocks{line->at_begin,
                    line->doubt,
                    "bound",
                    std::to_string(line->matched) + " of " + std::to_string(line->asked) +
                        " requests were seen at both ends, each inside of itself; the clocks drift by " +
                        format_fixed(line->drift() * 1e6, 1) + " ppm",
                    {},
                    line->drift(),
                    line->begin};
  for (const auto& place : line->server_of)
    if (place) clocks.same_requests.push_back(served[*place]->id);
  return clocks;
}

Result<LaidClocks> by_requests(const Run& server, const Run& client, const calibrate::OffsetSearch& search) {
  const auto served = requests_of(server, false), asked = requests_of(client, true);
  std::vector<calibrate::SeenRequest> theirs, mine;
  for (const Span* span : served) theirs.push_back({span->interval, span->count("output_tokens")});
  for (const Span* span : asked) mine.push_back({span->interval, span->count("output_tokens")});
  const auto told = calibrate::offset_of_requests(theirs, mine, search);
  if (!told && told.error().code == ErrorCode::malformed)
    if (auto clocks = by_drifting_requests(served, theirs, mine, search)) return std::move(*clocks);
  if (!told) return Unexpected<Error>(told.error());
  LaidClocks clocks{told->offset,
                    told->doubt,
                    "bound",
                    std::to_string(told->matched) + " of " + std::to_string(told->asked) +
                        " requests were seen at both ends, each inside of itself",
                    {},
                    0,
                    {}};
  for (const auto& place : told->server_of)
    if (place) clocks.same_requests.push_back(served[*place]->id);
  return clocks;
}

// How many requests were on their way, over the client's time.
calibrate::PowerSeries in_flight(const std::vector<const Span*>& requests) {
  calibrate::PowerSeries series;
  std::int64_t from = requests.front()->interval.begin.ns, to = from;
  for (const Span* span : requests) {
    from = std::min(from, span->interval.begin.ns);
    to = std::max(to, span->interval.end.ns);
  }
  const double pad_s = 1;
  const double begin_s = static_cast<double>(from) * 1e-9 - pad_s, end_s = static_cast<double>(to) * 1e-9 + pad_s;
  for (double at = begin_s; at < end_s; at += clock_grid_s) {
    double busy = 0;
    for (const Span* span : requests) {
      const double a = std::max(at, static_cast<double>(span->interval.begin.ns) * 1e-9);
      const double b = std::min(at + clock_grid_s, static_cast<double>(span->interval.end.ns) * 1e-9);
      busy += std::max(0.0, b - a) / clock_grid_s;
    }
    series.at_s.push_back(at + clock_grid_s / 2);
    series.value.push_back(busy);
  }
  return series;
}

// The rate of a counter, or a gauge as it is, over the server's time.
Result<calibrate::PowerSeries> series_of(const Run& run, const Channel& channel) {
  calibrate::PowerSeries series;
  double last = 0, last_s = 0;
  bool any = false;
  for (const Group& group : run.groups()) {
    const auto place = std::ranges::find(group.channels, channel.id);
    if (place == group.channels.end()) continue;
    const auto column = static_cast<std::size_t>(place - group.channels.begin());
    const auto read = run.for_each_block(group.id, [&](const TickBlock& block) {
      for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
        const Reading reading = block.reading(column, tick);
        if (reading.quality == Quality::gap) continue;
        const double at_s = static_cast<double>(block.begin(tick).ns + block.end(tick).ns) * 0.5e-9;
        const double value = static_cast<double>(reading.raw) * channel.scale;
        const bool counts = channel.kind == ChannelKind::counter || channel.model;
        if (!counts && (series.at_s.empty() || at_s > series.at_s.back())) {
          series.at_s.push_back(at_s);
          series.value.push_back(value);
        } else if (counts && any && at_s > last_s) {
          series.at_s.push_back((at_s + last_s) / 2);
          series.value.push_back(std::max(0.0, value - last) / (at_s - last_s));
        }
        last = value, last_s = at_s, any = true;
      }
      return true;
    });
    if (!read) return Unexpected<Error>(read.error());
  }
  return series;
}

// What tells of the server's work: its processes' CPU time, its own count of requests, power.
std::vector<const Channel*> work_channels(const Run& server, const std::string& target) {
  std::vector<const Channel*> channels;
  for (const Channel& channel : server.channels()) {
    const bool cpu = channel.scope == Scope::target && channel.target == target && channel.measure == Measure::cpu_time;
    const bool running = channel.sensor == "engine" && channel.domain == "requests-running";
    const bool power = channel.scope == Scope::host && gives_energy(channel) && !channel.part_of;
    if (cpu || running || power) channels.push_back(&channel);
  }
  return channels;
}

Result<LaidClocks> by_load(const Run& server, const Run& client, const calibrate::OffsetSearch& search,
                           const std::string& target) {
  const auto asked = requests_of(client, true);
  if (asked.empty())
    return fail(ErrorCode::usage, "the client's Run has no requests that went well", client.path().string(),
                "It must be a Run of `prony llm` or of a program that marks its requests.");
  const calibrate::PowerSeries mine = in_flight(asked);
  std::optional<calibrate::Alignment> best;
  std::string by;
  Error why{ErrorCode::absent, "the server's Run has nothing that tells of its work", server.path().string(),
            "Record it with  prony monitor --port PORT --interval 100ms --sink run:server.prony"};
  for (const Channel* channel : work_channels(server, target)) {
    const auto theirs = series_of(server, *channel);
    if (!theirs) return Unexpected<Error>(theirs.error());
    if (theirs->at_s.size() < 2) continue;
    const auto told =
        calibrate::align(*theirs, mine, {search.guess.seconds().value(), search.within.seconds().value()});
    if (!told) {
      why = told.error();
      continue;
    }
    if (best && best->doubt_s <= told->doubt_s) continue;
    best = *told;
    by = channel->name;
  }
  if (!best)
    return fail(
        why.code, "the clocks cannot be laid together: " + why.what, why.where,
        "Requests that come at irregular times help, and `prony proxy` at the server, which sees each of them.\n"
        "Or name the offset of the wall clocks:  --offset 3ms --doubt 1ms");
  return LaidClocks{Duration{std::llround(best->offset_s * 1e9)},
                    Duration{std::llround(best->doubt_s * 1e9)},
                    "interval(0.95)",
                    "requests on their way against " + by + ": they correlate by " +
                        format_fixed(best->correlation, 3) + " (next best " + format_fixed(best->next_correlation, 3) +
                        ")",
                    {},
                    0,
                    {}};
}

}  // namespace

Result<LaidClocks> lay_clocks(const Run& server, const Run& client, const MergeClockOptions& options,
                              const std::string& target) {
  const auto guess = wall_guess_of(server, client);
  if (!guess) return Unexpected<Error>(guess.error());
  if (!options.offset.empty()) {
    auto clocks = named(options, *guess);
    // The same requests are still known by each other, within what is named.
    if (clocks && !requests_of(server, false).empty()) {
      const auto same = by_requests(server, client, {clocks->offset, clocks->doubt});
      if (same) clocks->same_requests = same->same_requests;
    }
    return clocks;
  }
  if (!options.doubt.empty())
    return fail(ErrorCode::usage, "a doubt without its offset", "--doubt", "Name both:  --offset 3ms --doubt 1ms");
  const auto within = duration_setting(options.within, "within", milliseconds(1), longest);
  if (!within) return Unexpected<Error>(within.error());
  const calibrate::OffsetSearch search{guess->offset, *within};
  if (!requests_of(server, false).empty()) {
    auto clocks = by_requests(server, client, search);
    if (clocks || requests_of(client, true).empty()) return clocks;
    print_note("not by requests that both saw: " + clocks.error().what);
  }
  return by_load(server, client, search, target);
}

}  // namespace prony::app
