// MonitorSystem's hardware samples (C++: *_hw_metrics_*.jsonl), one object a line: stamps in ms, whatever its page
// says.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

struct SampleField {
  const char* field;
  const char* name;
  const char* domain;
  Measure measure;
  double most;
};
constexpr std::array<SampleField, 5> sample_fields{
    {{"internalpower_", "monitorsystem.pmic.power", "pmic", Measure::power, 1e4},
     {"temperature_", "monitorsystem.soc.temperature", "soc", Measure::temperature, 200},
     {"voltage_", "monitorsystem.core.voltage", "core", Measure::voltage, 100},
     {"fan_speed_", "monitorsystem.fan.speed", "fan", Measure::fan_speed, 1e6},
     {"mem_used_", "monitorsystem.memory.used", "memory", Measure::memory, 1e12}}};
constexpr double counts_per_unit = 1e4;  // keeps bytes of the largest memory within 64 bits

struct SampleRow {
  std::int64_t ms = 0;
  std::array<std::optional<double>, sample_fields.size()> values;
};

SampleRow sample_from(const Found& line, std::int64_t ms) {
  SampleRow row{ms, {}};
  for (std::size_t i = 0; i < sample_fields.size(); ++i) {
    const auto value = number_at(line, sample_fields[i].field);
    if (value && *value >= 0 && *value <= sample_fields[i].most) row.values[i] = *value;
  }
  return row;
}

void add_samples(Imported& out, const std::vector<SampleRow>& rows) {
  std::vector<std::size_t> there;
  for (std::size_t i = 0; i < sample_fields.size(); ++i)
    if (std::ranges::any_of(rows, [&](const SampleRow& row) { return row.values[i].has_value(); })) there.push_back(i);
  out.group.id = {0};
  out.group.name = "imported";
  const auto steps = static_cast<std::int64_t>(rows.size()) - 1;
  out.group.interval = {(rows.back().ms - rows.front().ms) * 1'000'000 / std::max<std::int64_t>(steps, 1)};
  for (const std::size_t i : there) {
    Channel channel;
    channel.id = {static_cast<std::uint32_t>(out.channels.size())};
    channel.name = sample_fields[i].name;
    channel.sensor = "monitorsystem";
    channel.device = channel.domain = sample_fields[i].domain;
    channel.measure = sample_fields[i].measure;
    channel.scale = 1 / counts_per_unit;
    out.group.channels.push_back(channel.id);
    out.channels.push_back(std::move(channel));
  }
  out.ticks = TickBlock(out.group.id, there.size(), rows.size());
  for (const SampleRow& row : rows) {
    std::vector<Reading> readings;
    for (const std::size_t i : there)
      readings.push_back(row.values[i] ? Reading{std::llround(*row.values[i] * counts_per_unit), Quality::ok}
                                       : Reading{});
    const Instant at{(row.ms - rows.front().ms) * 1'000'000};
    out.ticks.push(at, at, readings);
  }
}

}  // namespace

Result<Imported> read_monitorsystem(std::string_view bytes, const ReadOptions&) {
  Imported out;
  const auto lines = json_lines(bytes, out.notes);
  if (!lines) return Unexpected<Error>(lines.error());
  std::vector<SampleRow> rows;
  std::size_t without_stamp = 0, not_later = 0;
  for (const Found& line : *lines) {
    const auto ms = whole_at(line, "timestamp_");
    constexpr std::int64_t latest_ms = 7'258'118'400'000;  // the year 2200: above it these are no milliseconds
    if (!ms || *ms <= 0 || *ms > latest_ms)
      ++without_stamp;
    else if (!rows.empty() && *ms <= rows.back().ms)
      ++not_later;
    else
      rows.push_back(sample_from(line, *ms));
  }
  if (rows.size() < 2)
    return fail(ErrorCode::malformed, "fewer than two samples with a timestamp_ in ms are in the file", {},
                "MonitorSystem's *_hw_metrics_*.jsonl has one a line.");
  if (without_stamp > 0)
    out.notes.push_back(std::to_string(without_stamp) + " lines without a timestamp_ in ms: left out");
  if (not_later > 0)
    out.notes.push_back(std::to_string(not_later) + " samples not later than the one before: left out");
  out.notes.emplace_back(
      "internalpower_ adds up the rails of the board's power chip: what hangs on USB or on a HAT is not in it");
  out.notes.emplace_back("single readings of that chip scatter by a fifth; a fan at 0 stands still or is not there");
  add_samples(out, rows);
  if (out.channels.empty()) return fail(ErrorCode::malformed, "no field of a sample is in the file", {});
  out.anchor = {{0}, rows.front().ms * 1'000'000, {0}};
  add_spans(out, {}, static_cast<double>(rows.back().ms - rows.front().ms) * 1e-3);
  return out;
}

}  // namespace prony::exchange
