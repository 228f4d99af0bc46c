#include "calibrate/request_offset.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "base/text.hpp"

namespace prony::calibrate {

namespace {

constexpr double least_matched = 0.8;  // of the client's requests
constexpr std::size_t most_pairs = 4'000'000;
constexpr Duration widest{2'000'000'000};  // a bound that is wider says too little to be worth a merge

struct Edge {
  std::int64_t at_ns = 0;
  bool opens = false;
  std::size_t client = 0;
};

bool may_be_one(const SeenRequest& server, const SeenRequest& client) {
  return !server.output_tokens || !client.output_tokens || *server.output_tokens == *client.output_tokens;
}

std::string ms(std::int64_t ns) { return format_fixed(static_cast<double>(ns) * 1e-6, 1) + " ms"; }

// Where each pair allows the offset to be; edges in time order, what opens before what closes.
Result<std::vector<Edge>> edges_of(const std::vector<SeenRequest>& server, const std::vector<SeenRequest>& client,
                                   const OffsetSearch& search) {
  std::vector<Edge> edges;
  const std::int64_t least = search.guess.ns - search.within.ns, most = search.guess.ns + search.within.ns;
  for (std::size_t c = 0; c < client.size(); ++c)
    for (const SeenRequest& one : server) {
      const std::int64_t low = std::max(least, (one.interval.end - client[c].interval.end).ns);
      const std::int64_t high = std::min(most, (one.interval.begin - client[c].interval.begin).ns);
      if (low > high || !may_be_one(one, client[c])) continue;
      if (edges.size() > 2 * most_pairs)
        return fail(ErrorCode::usage, "too many requests could be one another", {}, "Narrow the search (--within 1s).");
      edges.push_back({low, true, c});
      edges.push_back({high, false, c});
    }
  std::ranges::sort(
      edges, [](const Edge& a, const Edge& b) { return a.at_ns != b.at_ns ? a.at_ns < b.at_ns : a.opens && !b.opens; });
  return edges;
}

}  // namespace

Result<RequestOffset> offset_of_requests(const std::vector<SeenRequest>& server, const std::vector<SeenRequest>& client,
                                         const OffsetSearch& search) {
  if (client.empty() || server.empty())
    return fail(ErrorCode::usage, "one of the Runs has no requests to compare clocks by", {},
                "Name the offset (--offset 3ms --doubt 1ms), or run `prony proxy` at the server.");
  const auto edges = edges_of(server, client, search);
  if (!edges) return Unexpected<Error>(edges.error());
  std::vector<std::size_t> open(client.size(), 0);
  std::size_t covered = 0, most = 0;
  std::int64_t low = 0, high = 0;  // from the first to the last place where most of them fit
  for (const Edge& edge : *edges) {
    if (edge.opens) {
      if (open[edge.client]++ == 0) ++covered;
      if (covered > most) most = covered, low = edge.at_ns;
      continue;
    }
    if (covered == most) high = edge.at_ns;
    if (--open[edge.client] == 0) --covered;
  }
  if (static_cast<double>(most) < least_matched * static_cast<double>(client.size()))
    return fail(ErrorCode::malformed,
                "no offset of the clocks fits: at the best one " + std::to_string(most) + " of " +
                    std::to_string(client.size()) + " requests lie inside of one that the client saw",
                {}, "Are both Runs of the same time? If the clocks are far apart, widen the search:  --within 10m");
  if (high - low > widest.ns)
    return fail(ErrorCode::malformed, "offsets that are " + ms(high - low) + " apart fit all requests alike", {},
                "Narrow the search (--within 100ms), or name the offset (--offset 3ms --doubt 1ms).");
  RequestOffset told;
  told.offset = Duration{low + (high - low) / 2};
  told.doubt = Duration{(high - low + 1) / 2};
  told.asked = client.size();
  std::vector<bool> taken(server.size(), false);
  for (const SeenRequest& asked : client) {
    std::optional<std::size_t> best;
    for (std::size_t s = 0; s < server.size(); ++s) {
      const Interval moved{asked.interval.begin + told.offset - told.doubt,
                           asked.interval.end + told.offset + told.doubt};
      const bool inside = moved.begin <= server[s].interval.begin && server[s].interval.end <= moved.end;
      if (taken[s] || !inside || !may_be_one(server[s], asked)) continue;
      // The longest that fits in: a shorter one may be another client's.
      if (!best || server[s].interval.length() > server[*best].interval.length()) best = s;
    }
    if (best) taken[*best] = true, ++told.matched;
    told.server_of.push_back(best);
  }
  return told;
}

}  // namespace prony::calibrate
