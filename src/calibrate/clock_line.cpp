#include "calibrate/clock_line.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

namespace prony::calibrate {

namespace {

constexpr double most_drift = 1e-3;  // crystals are off by a tenth of this
constexpr std::size_t least_at_an_end = 3;

// What one end of a request says: there the offset is not below (or not above) `offset_ns`. Times as a part of the way.
struct Bound {
  double part = 0;  // 0: the begin, 1: the end
  double offset_ns = 0;
};
struct Bounds {
  std::vector<Bound> lower, upper;
};

// The offsets that the end of the line may have if its begin has `a`.
struct Range {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  [[nodiscard]] double width() const { return high - low; }
};
Range range_of_end(const Bounds& bounds, double a) {
  constexpr double least_part = 1e-9;  // at the very begin all that the end may be says nothing
  Range range;
  const auto at_end = [&](const Bound& one) {
    return (one.offset_ns - a * (1 - one.part)) / std::max(one.part, least_part);
  };
  for (const Bound& one : bounds.lower) range.low = std::max(range.low, at_end(one));
  for (const Bound& one : bounds.upper) range.high = std::min(range.high, at_end(one));
  return range;
}

// The width is concave in `a`: where it is widest, and from where to where it is not negative.
std::optional<Range> range_of_begin(const Bounds& bounds, double least, double most) {
  constexpr int steps = 200;
  double low = least, high = most;
  for (int i = 0; i < steps; ++i) {
    const double third = (high - low) / 3;
    if (range_of_end(bounds, low + third).width() < range_of_end(bounds, high - third).width())
      low += third;
    else
      high -= third;
  }
  const double best = (low + high) / 2;
  if (range_of_end(bounds, best).width() < 0) return std::nullopt;
  const auto edge = [&](double outside) {
    double in = best, out = outside;
    for (int i = 0; i < steps; ++i) {
      const double middle = (in + out) / 2;
      (range_of_end(bounds, middle).width() >= 0 ? in : out) = middle;
    }
    return out;
  };
  return Range{edge(least), edge(most)};
}

Bounds turned(const Bounds& bounds) {
  Bounds other = bounds;
  for (auto* side : {&other.lower, &other.upper})
    for (Bound& one : *side) one.part = 1 - one.part;
  return other;
}

Instant middle_of(std::span<const SeenRequest> requests) {
  const std::int64_t from = requests.front().interval.begin.ns;
  return Instant{from + (requests.back().interval.end.ns - from) / 2};
}

Duration most_drift_over(Duration length) {
  return Duration{std::llround(std::abs(static_cast<double>(length.ns)) * most_drift)};
}

struct EndOffsets {
  RequestOffset early, late;
  Instant from, to;  // the middles of the requests that they were measured by
};

// By as many requests at either end as one offset fits: the more they are, the less they are mistaken for others.
Result<EndOffsets> offsets_at_the_ends(const std::vector<SeenRequest>& server, const std::vector<SeenRequest>& sorted,
                                       const OffsetSearch& search) {
  for (std::size_t count = std::max(least_at_an_end, sorted.size() / 8);;
       count -= std::max<std::size_t>(1, count / 4)) {
    const std::vector<SeenRequest> first(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count)),
        last(sorted.end() - static_cast<std::ptrdiff_t>(count), sorted.end());
    const Instant from = middle_of(first), to = middle_of(last);
    const auto early = offset_of_requests(server, first, search);
    auto late = early;
    if (early) {
      const Duration within = std::min(search.within, early->doubt + most_drift_over(to - from));
      late = offset_of_requests(server, last, {early->offset, within});
    }
    if (late) return EndOffsets{*early, *late, from, to};
    if (count <= least_at_an_end) return Unexpected<Error>(late.error());
  }
}

}  // namespace

Duration ClockLine::at(Instant client) const {
  const double part = static_cast<double>((client - begin).ns) / static_cast<double>((end - begin).ns);
  return at_begin + Duration{std::llround(part * static_cast<double>((at_end - at_begin).ns))};
}

Result<ClockLine> clock_line_of_requests(const std::vector<SeenRequest>& server, const std::vector<SeenRequest>& client,
                                         const OffsetSearch& search) {
  if (client.size() < 2 * least_at_an_end)
    return fail(ErrorCode::usage, "there are too few requests to see how the clocks drift", {},
                "Name the offset (--offset 3ms --doubt 1ms).");
  std::vector<std::size_t> order(client.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return client[i].interval.begin; });
  std::vector<SeenRequest> sorted;
  for (const std::size_t i : order) sorted.push_back(client[i]);
  const auto ends = offsets_at_the_ends(server, sorted, search);
  if (!ends) return Unexpected<Error>(ends.error());
  const auto& [early, late, from, to] = *ends;
  const double apart_ns = static_cast<double>((to - from).ns);
  const Duration may_drift = most_drift_over(to - from);

  ClockLine line;
  line.begin = sorted.front().interval.begin;
  line.end = line.begin;
  for (const SeenRequest& one : client) line.end = std::max(line.end, one.interval.end);
  const double drift = apart_ns > 0 ? static_cast<double>((late.offset - early.offset).ns) / apart_ns : 0;
  std::vector<SeenRequest> straight = client;
  const Instant start = from;
  const auto correct = [&](Instant at) {
    return at + Duration{std::llround(drift * static_cast<double>((at - start).ns))};
  };
  for (SeenRequest& one : straight) one.interval = {correct(one.interval.begin), correct(one.interval.end)};
  const Duration around = early.doubt + late.doubt + late.doubt + milliseconds(1);
  auto pairs = offset_of_requests(server, straight, {early.offset, around});
  if (!pairs) return Unexpected<Error>(pairs.error());

  Bounds bounds;
  const double zero_ns = static_cast<double>(early.offset.ns);
  const auto part_of = [&](Instant at) {
    return static_cast<double>((at - line.begin).ns) / static_cast<double>((line.end - line.begin).ns);
  };
  for (std::size_t i = 0; i < client.size(); ++i) {
    if (!pairs->server_of[i]) continue;
    const Interval theirs = server[*pairs->server_of[i]].interval, mine = client[i].interval;
    bounds.lower.push_back({part_of(mine.end), static_cast<double>((theirs.end - mine.end).ns) - zero_ns});
    bounds.upper.push_back({part_of(mine.begin), static_cast<double>((theirs.begin - mine.begin).ns) - zero_ns});
  }
  const double far = 4 * static_cast<double>(around.ns) + 4 * static_cast<double>(may_drift.ns);
  const auto begin = range_of_begin(bounds, -far, far), end = range_of_begin(turned(bounds), -far, far);
  if (!begin || !end)
    return fail(ErrorCode::malformed, "no offset of the clocks that moves evenly fits all requests", {},
                "Was a clock set, or a host asleep, in the meantime? Merge shorter Runs.");
  const auto middle = [&](const Range& range) {
    return Duration{early.offset.ns + std::llround((range.low + range.high) / 2)};
  };
  line.at_begin = middle(*begin);
  line.at_end = middle(*end);
  line.doubt = Duration{std::llround(std::max(begin->width(), end->width()) / 2) + 1};
  line.matched = pairs->matched;
  line.asked = client.size();
  line.server_of = std::move(pairs->server_of);
  return line;
}

}  // namespace prony::calibrate
