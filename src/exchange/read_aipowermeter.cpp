// AIPowerMeter's power_metrics.json, JSON lines despite its name: mean watts of a window that ends at "date". A line
// "END OF RECORDING SEGMENT" ends a segment: between segments nothing was measured, and nothing is integrated.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

struct PowerField {
  const char* group;
  const char* field;
  const char* name;
  const char* domain;
  int part_of;  // index here; −1: of none
};
constexpr std::array<PowerField, 5> power_fields{{{"cpu", "psys_power", "aipowermeter.psys.power", "psys", -1},
                                                  {"cpu", "intel_power", "aipowermeter.package.power", "package", 0},
                                                  {"cpu", "total_cpu_power", "aipowermeter.core.power", "core", 1},
                                                  {"cpu", "total_dram_power", "aipowermeter.dram.power", "dram", -1},
                                                  {"gpu", "nvidia_power", "aipowermeter.gpu.power", "gpu", -1}}};
constexpr double most_watts = 1e7;

struct PowerRecord {
  std::int64_t ns = 0;
  bool after_a_gap = false;
  std::array<std::optional<double>, power_fields.size()> watts;
};

struct PowerFile {
  std::vector<PowerRecord> records;
  std::size_t without_date = 0, not_later = 0, negative = 0, segments = 1;
};

PowerRecord record_of(const Found& line, std::size_t& negative) {
  PowerRecord out;
  const Found& metrics = object_at(line, "metrics");
  for (std::size_t i = 0; i < power_fields.size(); ++i) {
    const auto value = number_at(object_at(metrics, power_fields[i].group), power_fields[i].field);
    if (!value || *value > most_watts) continue;
    if (*value < 0)
      ++negative;  // −1: it was not there
    else
      out.watts[i] = *value;
  }
  return out;
}

PowerFile records_of(const std::vector<Found>& lines) {
  PowerFile out;
  bool gap = false;
  for (const Found& line : lines) {
    if (line.is_string()) {  // the end of a segment
      gap = !out.records.empty();
      continue;
    }
    const auto ns = local_ns(text_at(line, "date"));
    if (!ns) {
      ++out.without_date;
    } else if (!out.records.empty() && *ns <= out.records.back().ns) {
      ++out.not_later;
    } else {
      out.records.push_back(record_of(line, out.negative));
      out.records.back().ns = *ns;
      out.records.back().after_a_gap = gap;
      out.segments += gap ? 1 : 0;
      gap = false;
    }
  }
  return out;
}

Channel power_channel(const PowerField& field, std::uint32_t id) {
  Channel channel;
  channel.id = {id};
  channel.name = field.name;
  channel.sensor = "aipowermeter";
  channel.device = field.domain;
  channel.domain = field.domain;
  channel.measure = Measure::power;
  channel.kind = ChannelKind::gauge;
  channel.scale = 1e-6;
  channel.resolution = 1;
  return channel;
}

std::vector<std::size_t> fields_that_are_there(const PowerFile& file) {
  std::vector<std::size_t> there;
  for (std::size_t i = 0; i < power_fields.size(); ++i)
    if (std::ranges::any_of(file.records, [&](const PowerRecord& record) { return record.watts[i].has_value(); }))
      there.push_back(i);
  return there;
}

void add_power(Imported& out, const PowerFile& file) {
  const auto there = fields_that_are_there(file);
  const std::int64_t first = file.records.front().ns;
  out.group.id = {0};
  out.group.name = "imported";
  const auto steps = static_cast<std::int64_t>(file.records.size()) - 1;
  out.group.interval = {(file.records.back().ns - first) / std::max<std::int64_t>(steps, 1)};
  for (const std::size_t i : there) {
    Channel channel = power_channel(power_fields[i], static_cast<std::uint32_t>(out.channels.size()));
    const auto holder = std::ranges::find(there, static_cast<std::size_t>(std::max(power_fields[i].part_of, 0)));
    if (power_fields[i].part_of >= 0 && holder != there.end())
      channel.part_of = ChannelId{static_cast<std::uint32_t>(holder - there.begin())};
    out.group.channels.push_back(channel.id);
    out.channels.push_back(std::move(channel));
  }
  out.ticks = TickBlock(out.group.id, there.size(), file.records.size() * 2);
  std::int64_t before = -1;
  for (const PowerRecord& record : file.records) {
    const std::int64_t at = record.ns - first;
    if (record.after_a_gap && at - before > 1) {  // nothing was read in between, and that is said
      const Instant middle{before + (at - before) / 2};
      out.ticks.push(middle, middle, std::vector<Reading>(there.size()));
    }
    std::vector<Reading> readings;
    for (const std::size_t i : there)
      readings.push_back(record.watts[i] ? Reading{std::llround(*record.watts[i] * 1e6), Quality::ok} : Reading{});
    out.ticks.push({at}, {at}, readings);
    before = at;
  }
}

}  // namespace

Result<Imported> read_aipowermeter(std::string_view bytes, const ReadOptions&) {
  Imported out;
  const auto lines = json_lines(bytes, out.notes);
  if (!lines) return Unexpected<Error>(lines.error());
  const PowerFile file = records_of(*lines);
  if (file.records.size() < 2)
    return fail(ErrorCode::malformed, "fewer than two records with a date are in the file", {},
                "power_metrics.json has one a line: {\"date\": …, \"metrics\": {…}}.");
  const auto note = [&](std::size_t count, const char* words) {
    if (count > 0) out.notes.push_back(std::to_string(count) + " " + words);
  };
  note(file.without_date, "lines without a date: left out");
  note(file.not_later, "records not later than the one before: left out");
  note(file.negative, "values below 0: absent, as the tool's -1 means, and not integrated as it does");
  if (file.segments > 1) note(file.segments, "segments: between them nothing is integrated");
  out.notes.emplace_back(
      "dates are of a wall clock without a zone: taken as UTC, and durations are as good as that clock");
  out.notes.emplace_back(
      "each figure is the mean of a window that ends at its date and whose length the file does not "
      "tell; what lies between windows was not measured");
  add_power(out, file);
  if (out.channels.empty()) return fail(ErrorCode::malformed, "no watts are in the file", {});
  out.anchor = {{0}, file.records.front().ns, {0}};
  add_spans(out, {}, static_cast<double>(file.records.back().ns - file.records.front().ns) * 1e-9);
  return out;
}

}  // namespace prony::exchange
