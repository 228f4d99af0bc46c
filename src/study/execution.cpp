#include "study/execution.hpp"

#include "study/fields.hpp"

namespace prony::study {

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

}  // namespace prony::study
