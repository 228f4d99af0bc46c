// MonitorSystem's hardware samples (C++: *_hw_metrics_*.jsonl), one object a line: stamps in ms, whatever its page
// says.
#include <array>

#include "base/text.hpp"
#include "exchange/monitorsystem_samples.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

constexpr std::array<MonitorField, 5> sample_fields{
    {{"internalpower_", "monitorsystem.pmic.power", "pmic", Measure::power, 1e4},
     {"temperature_", "monitorsystem.soc.temperature", "soc", Measure::temperature, 200},
     {"voltage_", "monitorsystem.core.voltage", "core", Measure::voltage, 100},
     {"fan_speed_", "monitorsystem.fan.speed", "fan", Measure::fan_speed, 1e6},
     {"mem_used_", "monitorsystem.memory.used", "memory", Measure::memory, 1e12}}};

MonitorSample sample_from(const Found& line, std::int64_t ms) {
  MonitorSample sample{ms * 1'000'000, std::vector<std::optional<double>>(sample_fields.size())};
  for (std::size_t i = 0; i < sample_fields.size(); ++i) {
    const auto value = number_at(line, sample_fields[i].field);
    if (value && *value >= 0 && *value <= sample_fields[i].most) sample.values[i] = *value;
  }
  return sample;
}

}  // namespace

Result<Imported> read_monitorsystem(std::string_view bytes, const ReadOptions&) {
  Imported out;
  const auto lines = json_lines(bytes, out.notes);
  if (!lines) return Unexpected<Error>(lines.error());
  std::vector<MonitorSample> rows;
  std::size_t without_stamp = 0, not_later = 0;
  for (const Found& line : *lines) {
    const auto ms = whole_at(line, "timestamp_");
    constexpr std::int64_t latest_ms = 7'258'118'400'000;  // the year 2200: above it these are no milliseconds
    if (!ms || *ms <= 0 || *ms > latest_ms)
      ++without_stamp;
    else if (!rows.empty() && *ms * 1'000'000 <= rows.back().ns)
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
  add_monitor_samples(out, sample_fields, rows);
  if (out.channels.empty()) return fail(ErrorCode::malformed, "no field of a sample is in the file", {});
  out.anchor = {{0}, rows.front().ns, {0}};
  add_spans(out, {}, static_cast<double>(rows.back().ns - rows.front().ns) * 1e-9);
  return out;
}

}  // namespace prony::exchange
