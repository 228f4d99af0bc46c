#include "collect/pages.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/text.hpp"

namespace prony::collect {

namespace {

using Json = nlohmann::ordered_json;

std::string shown(const Json& page) { return page.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"; }

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

std::uint64_t missing(const StreamState& s) { return s.last_sequence > s.frames ? s.last_sequence - s.frames : 0; }

void add_clock(Json& row, const StreamState& newest) {
  if (!newest.clock) return;
  row["clock_offset_s"] = seconds(newest.clock->offset_ns);
  row["clock_offset_doubt_s"] = seconds(newest.clock->doubt_ns);
}

void add_times(Json& row, std::int64_t first_ns, std::int64_t last_ns, std::int64_t now_ns) {
  row["first_received_utc"] = format_utc(first_ns);
  row["last_received_utc"] = format_utc(last_ns);
  row["silent_s"] = std::max(0.0, std::round(seconds(now_ns - last_ns) * 1e3) * 1e-3);
}

// All streams of one client.
Json client_row(const std::vector<const StreamState*>& streams, std::int64_t now_ns) {
  const StreamState& newest = **std::ranges::max_element(
      streams, [](const auto* a, const auto* b) { return a->last_received_ns < b->last_received_ns; });
  std::uint64_t frames = 0, doubled = 0, lost = 0, dropped = 0, gone = 0;
  std::int64_t first_ns = newest.first_received_ns;
  for (const StreamState* s : streams) {
    frames += s->frames;
    doubled += s->doubled;
    lost += s->lost;
    dropped += s->dropped;
    gone += missing(*s);
    first_ns = std::min(first_ns, s->first_received_ns);
  }
  Json row = {{"client", newest.client},   {"dialect", "prony"},        {"host", newest.host},
              {"streams", streams.size()}, {"frames", frames},          {"missing_frames", gone},
              {"lost_frames", lost},       {"dropped_frames", dropped}, {"doubled_frames", doubled}};
  if (!newest.simulated.empty()) row["simulated"] = newest.simulated;
  add_times(row, first_ns, newest.last_received_ns, now_ns);
  add_clock(row, newest);
  return row;
}

Json log_row(const LogState& log, std::int64_t now_ns) {
  Json row = {{"client", log.client},         {"dialect", "heflwr"},
              {"messages", log.messages},     {"doubled_messages", log.doubled},
              {"sent_bytes", log.bytes_sent}, {"received_bytes", log.bytes_received}};
  const auto add = [&](const char* key, const std::optional<double>& value, double scale) {
    if (value) row[key] = *value * scale;
  };
  add("last_cpu_percent", log.last.cpu_percent, 1);
  add("last_memory_percent", log.last.memory_percent, 1);
  add("last_vdd_in_w", log.last.vdd_in_mw, 1e-3);
  add("last_vdd_cpu_gpu_cv_w", log.last.vdd_cpu_gpu_cv_mw, 1e-3);
  add("last_vdd_soc_w", log.last.vdd_soc_mw, 1e-3);
  add_times(row, log.first_received_ns, log.last_received_ns, now_ns);
  return row;
}

Json stream_row(const StreamState& s, const StreamValues& values) {
  Json row = {{"stream", s.name},
              {"host", s.host},
              {"version", s.version},
              {"begun_utc", format_utc(s.begun_wall_ns)},
              {"interval_s", seconds(s.interval_ns)},
              {"frames", s.frames},
              {"missing_frames", missing(s)},
              {"lost_frames", s.lost},
              {"dropped_frames", s.dropped},
              {"doubled_frames", s.doubled}};
  if (!s.simulated.empty()) row["simulated"] = s.simulated;
  if (s.frames > 0) row["last_utc"] = format_utc(s.last_wall_ns);
  add_clock(row, s);
  row["values"] = Json::array();
  for (std::size_t i = 0; i < values.series.size(); ++i) {
    if (!values.latest[i]) continue;
    const SeriesHead& series = values.series[i];
    Json value = {{"name", series.name},
                  {"unit", series.unit},
                  {"kind", series.counter ? "counter" : "gauge"},
                  {"origin", series.origin}};
    if (!series.target.empty()) value["target"] = series.target;
    value["value"] = *values.latest[i];
    row["values"].push_back(std::move(value));
  }
  return row;
}

struct Part {  // of one stream, to one total
  std::int64_t begin_ns = 0, end_ns = 0;
  double value = 0;
};

// What one host had of it: streams that overlap in time watched the same thing, and the largest of them counts.
double of_a_host(std::vector<Part>& parts, std::uint64_t& left_out) {
  std::ranges::sort(parts, {}, &Part::begin_ns);
  double sum = 0, largest = 0;
  std::int64_t end_ns = INT64_MIN;
  for (const Part& part : parts) {
    if (part.begin_ns >= end_ns) {
      sum += std::exchange(largest, 0);
    } else {
      ++left_out;
    }
    largest = std::max(largest, part.value);
    end_ns = std::max(end_ns, part.end_ns);
  }
  return sum + largest;
}

}  // namespace

Result<std::string> clients_page(Archive& archive, std::int64_t now_wall_ns) {
  const auto streams = archive.streams();
  if (!streams) return Unexpected<Error>(streams.error());
  const auto logs = archive.logs();
  if (!logs) return Unexpected<Error>(logs.error());
  std::map<std::string, std::vector<const StreamState*>> by_client;
  for (const StreamState& stream : *streams) by_client[stream.client].push_back(&stream);
  Json page = {{"clients", Json::array()}};
  for (const auto& [client, theirs] : by_client) page["clients"].push_back(client_row(theirs, now_wall_ns));
  for (const LogState& log : *logs) page["clients"].push_back(log_row(log, now_wall_ns));
  return shown(page);
}

Result<std::optional<std::string>> client_page(Archive& archive, const std::string& client, std::int64_t now_wall_ns) {
  const auto streams = archive.streams();
  if (!streams) return Unexpected<Error>(streams.error());
  const auto logs = archive.logs();
  if (!logs) return Unexpected<Error>(logs.error());
  std::vector<const StreamState*> theirs;
  for (const StreamState& stream : *streams)
    if (stream.client == client) theirs.push_back(&stream);
  Json page = Json::object();
  if (!theirs.empty()) {
    page = client_row(theirs, now_wall_ns);
    page["streams"] = Json::array();
    for (const StreamState* stream : theirs) {
      const auto values = archive.values(stream->name);
      if (!values) return Unexpected<Error>(values.error());
      page["streams"].push_back(stream_row(*stream, *values));
    }
  }
  for (const LogState& log : *logs) {
    if (log.client != client) continue;
    Json row = log_row(log, now_wall_ns);
    row["last_message"] = log.last_message;
    page["heflwr"] = std::move(row);
  }
  if (page.empty()) return std::optional<std::string>();
  return std::optional(shown(page));
}

Result<std::string> totals_page(Archive& archive) {
  using Key = std::tuple<std::string, std::string, std::string, bool>;  // series, unit, origin, simulated
  std::map<Key, std::map<std::string, std::vector<Part>>> totals;
  const auto visited = archive.visit([&](const StreamState& stream, const auto& series, const auto& latest) {
    const bool simulated = !stream.simulated.empty();
    const std::string host = simulated || stream.boot.empty() ? stream.client + "\n" + stream.host : stream.boot;
    for (std::size_t i = 0; i < series.size(); ++i)
      if (series[i].counter && latest[i])
        totals[{series[i].name, series[i].unit, series[i].origin, simulated}][host].push_back(
            {stream.begun_wall_ns, stream.last_wall_ns, *latest[i]});
  });
  if (!visited) return Unexpected<Error>(visited.error());
  Json page = {{"totals", Json::array()}};
  for (auto& [key, hosts] : totals) {
    double sum = 0;
    std::uint64_t left_out = 0;
    for (auto& [host, parts] : hosts) sum += of_a_host(parts, left_out);
    Json row = {{"series", std::get<0>(key)}, {"unit", std::get<1>(key)}, {"origin", std::get<2>(key)}};
    if (std::get<3>(key)) row["simulated"] = true;
    row["sum"] = sum;
    row["hosts"] = hosts.size();
    if (left_out > 0) row["streams_left_out_as_seen_twice"] = left_out;
    page["totals"].push_back(std::move(row));
  }
  return shown(page);
}

}  // namespace prony::collect
