#include "compare/gate.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/text.hpp"
#include "compare/run_figures.hpp"

namespace prony::compare {

namespace {

struct UnitRow {
  std::string_view word, unit;
  double factor;
};
constexpr std::array unit_rows = {
    UnitRow{"J", "J", 1},     UnitRow{"mJ", "J", 1e-3},   UnitRow{"kJ", "J", 1e3},      UnitRow{"W", "W", 1},
    UnitRow{"mW", "W", 1e-3}, UnitRow{"s", "s", 1},       UnitRow{"ms", "s", 1e-3},     UnitRow{"us", "s", 1e-6},
    UnitRow{"B", "B", 1},     UnitRow{"KiB", "B", 1024},  UnitRow{"MiB", "B", 1048576}, UnitRow{"GiB", "B", 1073741824},
    UnitRow{"1/s", "1/s", 1}, UnitRow{"tok/s", "1/s", 1},
};

Unexpected<Error> off(std::string what, std::string_view text, std::string fix) {
  return fail(ErrorCode::usage, std::move(what), "--fail-if '" + printable(text, 60) + "'", std::move(fix));
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const MetricRow& row : metric_rows()) {
    names.emplace_back(row.name);
    if (!row.alias.empty()) names.emplace_back(row.alias);
  }
  return names;
}

std::string every_metric() {
  std::string all;
  for (const std::string& name : metric_names()) all += (all.empty() ? "" : ", ") + name;
  return all;
}

Result<std::size_t> metric_of(std::string_view name, std::string_view text) {
  if (const auto metric = metric_from(name)) return *metric;
  const auto near = nearest_name(name, metric_names());
  return off(name.empty() ? "no metric is named" : "there is no metric '" + printable(name, 40) + "'", text,
             near ? "Did you mean '" + *near + "'?" : "There are: " + every_metric());
}

// "+5%" → a share; "50ms" → in the metric's unit.
Result<void> read_limit(std::string_view limit, Condition& out) {
  const std::string_view unit = metric_rows()[out.metric].unit;
  const bool is_signed = !limit.empty() && (limit.front() == '+' || limit.front() == '-');
  std::size_t end = is_signed ? 1 : 0;
  while (end < limit.size() && (std::isdigit(static_cast<unsigned char>(limit[end])) != 0 || limit[end] == '.')) ++end;
  const auto number = parse_finite(limit.substr(is_signed ? 1 : 0, end - (is_signed ? 1 : 0)));
  const std::string_view word = trim(limit.substr(end));
  const std::string example = "For example: --fail-if 'j_per_output_token > +5%'";
  if (!number) return off("'" + printable(limit, 30) + "' is no limit", out.text, example);
  out.limit = !limit.empty() && limit.front() == '-' ? -*number : *number;
  if (word == "%") {
    if (!is_signed)
      return off("a share needs a sign: is it +" + format_number(*number) + "% or -" + format_number(*number) + "%?",
                 out.text, example);
    out.of = Condition::Of::relative_change;
    out.limit /= 100;
    return {};
  }
  out.of = is_signed ? Condition::Of::change : Condition::Of::value;
  if (word.empty()) return {};
  for (const UnitRow& row : unit_rows) {
    if (row.word != word) continue;
    if (row.unit != unit)
      return off("'" + std::string(word) + "' is no unit of " + std::string(metric_rows()[out.metric].name), out.text,
                 "It is in " + std::string(unit));
    out.limit *= row.factor;
    return {};
  }
  return off("there is no unit '" + printable(word, 20) + "'", out.text, "The metric is in " + std::string(unit));
}

}  // namespace

Result<Condition> parse_condition(std::string_view text) {
  Condition out;
  out.text = std::string(trim(text));
  const auto at = out.text.find_first_of("<>");
  if (at == std::string::npos)
    return off("there is no > or < in it", text, "For example: --fail-if 'j_per_output_token > +5%'");
  const auto metric = metric_of(trim(std::string_view(out.text).substr(0, at)), text);
  if (!metric) return Unexpected<Error>(metric.error());
  out.metric = *metric;
  out.above = out.text[at] == '>';
  out.inclusive = at + 1 < out.text.size() && out.text[at + 1] == '=';
  const auto read = read_limit(trim(std::string_view(out.text).substr(at + (out.inclusive ? 2 : 1))), out);
  if (!read) return Unexpected<Error>(read.error());
  return out;
}

Verdict judge(const Condition& condition, const statistics::LevelInterval& interval) {
  const auto fulfils = [&](double value) {
    if (condition.inclusive && value == condition.limit) return true;
    return condition.above ? value > condition.limit : value < condition.limit;
  };
  const bool low = fulfils(interval.low), high = fulfils(interval.high);
  return low && high ? Verdict::yes : low || high ? Verdict::cannot_tell : Verdict::no;
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::no: return "no";
    case Verdict::yes: return "yes";
    case Verdict::cannot_tell: return "cannot tell";
  }
  return "";
}

}  // namespace prony::compare
