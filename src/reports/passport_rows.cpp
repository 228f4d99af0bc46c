#include "reports/passport_rows.hpp"

#include <cmath>

#include "reports/cells.hpp"
#include "reports/rows_table.hpp"

namespace prony {

namespace {

struct Field {
  Column column;
  Cell value;
};

Cell ns(const std::optional<Duration>& duration) { return duration ? Cell{duration->ns} : Cell{}; }
Cell real(const std::optional<double>& value) { return value && std::isfinite(*value) ? Cell{*value} : Cell{}; }

std::vector<Field> fields_of(const ChannelPassport& p) {
  return {{{"channel", ""}, text_cell(p.channel)},
          {{"version", ""}, std::int64_t{p.version}},
          {{"learned_utc", ""}, text_cell(p.learned_utc)},
          {{"learned_by", "probe: watched for its own sake; run: from the ticks of a Run"}, text_cell(p.learned_by)},
          {{"watched_ns", ""}, p.watched.ns},
          {{"reads", "without the gaps"}, count_cell(p.reads)},
          {{"gaps", ""}, count_cell(p.gaps)},
          {{"transitions", "reads that gave another value than the one before"}, count_cell(p.transitions)},
          {{"poll_ns", "median distance of reads"}, ns(p.poll)},
          {{"update_period_ns", "mean distance of updates"}, ns(p.update_period)},
          {{"period_spread_ns", "± of update_period_ns, 95 %"}, ns(p.period_spread)},
          {{"faster_than_ns", "not resolved: updates come at least this often"}, ns(p.faster_than)},
          {{"phase_ns", "an update happened here, on the monotonic clock"}, p.phase ? Cell{p.phase->ns} : Cell{}},
          {{"phase_doubt_ns", ""}, ns(p.phase_doubt)},
          {{"jitter_ns", "RMS distance of updates from their grid"}, ns(p.jitter)},
          {{"averaging_window_ns", ""}, ns(p.averaging_window)},
          {{"averaging_how", ""}, text_cell(p.averaging_how)},
          {{"step", "in unit"}, real(p.step)},
          {{"noise_rms", "in unit"}, real(p.noise_rms)},
          {{"unit", "of step and noise_rms"}, text_cell(p.unit)},
          {{"read_cost_ns", "median"}, ns(p.read_cost)},
          {{"worst_latency_ns", ""}, ns(p.worst_latency)},
          {{"slows_others_ns", "time that another CPU loses by one read"}, ns(p.slows_others)},
          {{"duplicate_of", ""}, text_cell(p.duplicate_of)},
          {{"contained_in", "a hint only"}, text_cell(p.contained_in)}};
}

std::string joined(const ChannelPassport& passport, bool absent) {
  std::string all;
  const auto add = [&](const std::string& part) { all += (all.empty() ? "" : "; ") + part; };
  if (absent) {
    for (const Unavailable& entry : passport.absent) add(entry.subject + ": " + entry.reason);
  } else {
    for (const std::string& note : passport.notes) add(note);
  }
  return all;
}

}  // namespace

nlohmann::ordered_json to_json(const ChannelPassport& passport) {
  nlohmann::ordered_json json;
  for (const auto& [column, value] : fields_of(passport)) {
    if (const auto* whole = std::get_if<std::int64_t>(&value)) json[column.name] = *whole;
    if (const auto* number = std::get_if<double>(&value)) json[column.name] = *number;
    if (const auto* words = std::get_if<std::string>(&value)) json[column.name] = *words;
  }
  if (!passport.notes.empty()) json["notes"] = passport.notes;
  json["absent"] = nlohmann::ordered_json::array();
  for (const Unavailable& entry : passport.absent)
    json["absent"].push_back({{"name", entry.subject}, {"reason", entry.reason}});
  return json;
}

std::unique_ptr<Table> passports_table(const std::vector<ChannelPassport>& passports) {
  auto table = std::make_unique<RowsTable>();
  for (const auto& field : fields_of({})) table->header.push_back(field.column);
  table->header.push_back({"notes", ""});
  table->header.push_back({"absent", "what is not known, and why"});
  for (const ChannelPassport& passport : passports) {
    std::vector<Cell> row;
    for (auto& field : fields_of(passport)) row.push_back(std::move(field.value));
    row.push_back(text_cell(joined(passport, false)));
    row.push_back(text_cell(joined(passport, true)));
    table->rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace prony
