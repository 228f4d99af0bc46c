#include "study/execution.hpp"

#include <array>

#include "base/text.hpp"
#include "study/fields.hpp"

namespace prony::study {

namespace {

struct SizeUnit {
  std::string_view name;
  double bytes;
};
constexpr std::array<SizeUnit, 7> size_units{{{"TiB", 1099511627776.0},
                                              {"GiB", 1073741824.0},
                                              {"MiB", 1048576.0},
                                              {"KiB", 1024.0},
                                              {"TB", 1e12},
                                              {"GB", 1e9},
                                              {"MB", 1e6}}};
constexpr double least_size = 1048576.0, most_size = 1e15;

}  // namespace

std::optional<std::uint64_t> size_of_text(std::string_view text) noexcept {
  for (const SizeUnit& unit : size_units) {
    if (!text.ends_with(unit.name)) continue;
    const auto number = parse_finite(trim(text.substr(0, text.size() - unit.name.size())));
    if (!number || !(*number * unit.bytes >= least_size) || *number * unit.bytes > most_size) return std::nullopt;
    return static_cast<std::uint64_t>(*number * unit.bytes);
  }
  return std::nullopt;
}

Result<void> read_head(const Value& table, const std::string& file, StudyHead head) {
  Execution& e = head.execution;
  const std::vector<Field> fields{
      {"name", "a text", [&](const Value& v) { return head.name = word_of(v), v.is(Value::Kind::text); }},
      {"kind", "\"llm\", \"run\" or \"cold-start\"",
       [&](const Value& v) {
         for (const Kind kind : {Kind::llm, Kind::run, Kind::cold_start})
           if (v.text == to_string(kind)) return head.kind = kind, true;
         return false;
       }},
      {"mode", "\"grid\" (every combination) or \"one-factor\" (one axis at a time)",
       [&](const Value& v) {
         head.one_factor = v.text == "one-factor";
         return head.one_factor || v.text == "grid";
       }},
      {"cycles", "a whole number from 1 to 1000", whole_number(e.cycles, 1, 1000)},
      {"order", "\"sequential\", \"interleave\", \"shuffle\", \"reverse\" or \"counterbalanced\"",
       [&](const Value& v) {
         const auto order = order_from(v.text);
         e.order = order.value_or(e.order);
         return order.has_value();
       }},
      {"seed", "a whole number from 0", seed_field(e.seed)},
      {"experiment-gap", a_duration, duration_field(e.experiment_gap_ns)},
      {"cycle-gap", a_duration, duration_field(e.cycle_gap_ns)},
      {"timeout", a_duration, [&](const Value& v) { return duration_field(e.timeout_ns)(v) && e.timeout_ns > 0; }},
      {"silence", a_duration, [&](const Value& v) { return (e.silence_ns = duration_of(v)).has_value(); }},
      {"retries", "a whole number from 0 to 20", whole_number(e.retries, 0, 20)},
      {"back-off", a_duration, duration_field(e.back_off_ns)},
      {"stop-after", "a whole number of failed runs in a row, 0: never", whole_number(e.stop_after, 0, 100'000)},
      {"wall-limit", a_duration, duration_field(e.wall_limit_ns)},
      {"memory-limit", "a size with its unit, as text: \"512MiB\", \"8GiB\"",
       [&](const Value& v) {
         const auto size = size_of_text(v.text);
         e.memory_limit = size.value_or(0);
         return size.has_value();
       }},
      {"notify", "a command of a shell, as text", [&](const Value& v) { return !(e.notify = v.text).empty(); }},
      {"deduplicate", "true or false",
       [&](const Value& v) { return e.deduplicate = v.boolean, v.is(Value::Kind::boolean); }}};
  return take_fields(table, file, "study", fields);
}

Result<void> read_gate(const Value& table, const std::string& file, Execution& execution) {
  const std::vector<Field> fields{{"max-temp", "degrees Celsius, as a number",
                                   [&](const Value& v) {
                                     if (!v.is(Value::Kind::integer) && !v.is(Value::Kind::real)) return false;
                                     execution.max_celsius =
                                         v.is(Value::Kind::integer) ? static_cast<double>(v.integer) : v.real;
                                     return *execution.max_celsius > 0 && *execution.max_celsius <= 150;
                                   }},
                                  {"limit", a_duration, duration_field(execution.gate_limit_ns)}};
  return take_fields(table, file, "gate", fields);
}

Result<void> read_schedule(const Value& table, const std::string& file, Hours& hours) {
  const std::vector<Field> fields{
      {"at", "a time of day, as text: \"22:30\"",
       [&](const Value& v) { return (hours.at = minute_of_day(v.text)).has_value(); }},
      {"window", "two times of day, as text: \"22:00-06:00\"",
       [&](const Value& v) { return (hours.window = window_of(v.text)).has_value(); }},
      {"days", "\"weekdays\", \"weekend\", \"daily\" or a list: [\"mon\", \"sat\"]", [&](const Value& v) {
         hours.days.fill(false);
         if (v.is(Value::Kind::text)) return add_days(v.text, hours.days);
         for (const Value& day : v.list)
           if (!add_days(day.text, hours.days)) return false;
         return !v.list.empty();
       }}};
  return take_fields(table, file, "schedule", fields);
}

}  // namespace prony::study
