// What an Archive tells: its streams, what they measure, and the clients of the HeFlwr dialects.
#include <nlohmann/json.hpp>

#include "collect/archive.hpp"

namespace prony::collect {

namespace {

std::uint64_t count(const Statement& row, int column) { return static_cast<std::uint64_t>(row.integer(column)); }

std::optional<double> number(const Statement& row, int column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.real(column));
}

SeriesHead series_of(const nlohmann::json& row) {
  SeriesHead series;
  series.name = row.value("name", "");
  series.unit = row.value("unit", "");
  series.origin = row.value("origin", "");
  series.device = row.value("device", "");
  series.domain = row.value("domain", "");
  series.target = row.value("target", "");
  series.counter = row.value("kind", "") == "counter";
  return series;
}

constexpr const char* state_columns =
    "SELECT client, name, host, boot, version, simulated, begun_wall_ns, interval_ns, first_received_ns, "
    "last_received_ns, last_wall_ns, frames, doubled, lost, dropped, last_sequence, offset_ns, doubt_ns";
constexpr const char* in_order = " FROM stream ORDER BY client, begun_wall_ns, id";
constexpr int state_column_count = 18;
constexpr std::size_t most_parsed_series = 200'000;

StreamState state_of(const Statement& row) {
  StreamState one{row.text(0),
                  row.text(1),
                  row.text(2),
                  row.text(3),
                  row.text(4),
                  row.text(5),
                  row.integer(6),
                  row.integer(7),
                  row.integer(8),
                  row.integer(9),
                  row.integer(10),
                  0,
                  0,
                  0,
                  0,
                  0,
                  {}};
  one.frames = count(row, 11);
  one.doubled = count(row, 12);
  one.lost = count(row, 13);
  one.dropped = count(row, 14);
  one.last_sequence = count(row, 15);
  if (!row.is_null(16)) one.clock = {row.integer(16), row.integer(17)};
  return one;
}

}  // namespace

Result<std::vector<StreamState>> Archive::streams() {
  auto row = database_.prepare(std::string(state_columns) + in_order);
  if (!row) return Unexpected<Error>(row.error());
  std::vector<StreamState> streams;
  while (true) {
    const auto more = row->step();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return streams;
    streams.push_back(state_of(*row));
  }
}

const std::vector<SeriesHead>& Archive::parsed(const std::string& series) {
  if (const auto known = parsed_.find(series); known != parsed_.end()) return known->second;
  std::vector<SeriesHead> heads;
  const auto list = nlohmann::json::parse(series, nullptr, false);
  if (list.is_array())
    for (const auto& one : list) heads.push_back(one.is_object() ? series_of(one) : SeriesHead{});
  if (parsed_series_ + heads.size() > most_parsed_series) {
    parsed_.clear();
    parsed_series_ = 0;
  }
  parsed_series_ += heads.size();
  return parsed_.emplace(series, std::move(heads)).first->second;
}

Result<void> Archive::visit(const Visitor& visitor) {
  auto row = database_.prepare(std::string(state_columns) + ", series, latest" + in_order);
  if (!row) return Unexpected<Error>(row.error());
  while (true) {
    const auto more = row->step();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return {};
    const std::vector<SeriesHead>& series = parsed(row->text(state_column_count));
    auto latest = values_of(row->text(state_column_count + 1));
    latest.resize(series.size());
    visitor(state_of(*row), series, latest);
  }
}

Result<StreamValues> Archive::values(const std::string& stream) {
  auto row = database_.kept("SELECT series, latest FROM stream WHERE name = ?");
  if (!row) return Unexpected<Error>(row.error());
  (*row)->bind_all(stream);
  const auto there = (*row)->step();
  StreamValues values;
  if (there && *there) {
    values.series = parsed((*row)->text(0));
    values.latest = values_of((*row)->text(1));
    values.latest.resize(values.series.size());
  }
  (*row)->reset();
  if (!there) return Unexpected<Error>(there.error());
  return values;
}

Result<std::vector<LogState>> Archive::logs() {
  auto row = database_.prepare(
      "SELECT name, messages, doubled, log_client.bytes_sent, log_client.bytes_received, first_received_ns, "
      "last_received_ns, message, cpu_percent, memory_percent, vdd_in_mw, vdd_cpu_gpu_cv_mw, vdd_soc_mw "
      "FROM log_client LEFT JOIN message ON message.id = (SELECT max(id) FROM message AS m WHERE m.log_client_id = "
      "log_client.id) ORDER BY name");
  if (!row) return Unexpected<Error>(row.error());
  std::vector<LogState> logs;
  while (true) {
    const auto more = row->step();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return logs;
    LogState one;
    one.client = row->text(0);
    one.messages = count(*row, 1);
    one.doubled = count(*row, 2);
    one.bytes_sent = count(*row, 3);
    one.bytes_received = count(*row, 4);
    one.first_received_ns = row->integer(5);
    one.last_received_ns = row->integer(6);
    one.last_message = row->text(7);
    one.last.cpu_percent = number(*row, 8);
    one.last.memory_percent = number(*row, 9);
    one.last.vdd_in_mw = number(*row, 10);
    one.last.vdd_cpu_gpu_cv_mw = number(*row, 11);
    one.last.vdd_soc_mw = number(*row, 12);
    logs.push_back(std::move(one));
  }
}

}  // namespace prony::collect
