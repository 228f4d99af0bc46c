#include "compare/comparison_text.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::compare {

namespace {

using layout::Tone;

std::string value_words(const std::optional<double>& value, std::string_view unit) {
  if (!value) return std::string(figures::none);
  if (unit == "s") return figures::seconds(*value);
  if (unit == "B") return figures::bytes(*value);
  if (unit == "W") return figures::watts(*value);
  if (unit == "J" && std::abs(*value) < 1) return figures::significant(*value * 1e3, 4) + " mJ";
  const std::string number = figures::significant(*value, 4);
  return unit == "1" ? number : number + (unit == "1/s" ? " /s" : " " + std::string(unit));
}

std::string signed_percent(double share) {
  const std::string digits = format_fixed(share * 100, 1);
  return (share > 0 && digits != "0.0" ? "+" : "") + digits;
}

// "lower", "higher", or that none can be told.
std::string told(const ComparedRow& row) {
  if (!row.relative) return std::string(figures::none);
  const Better better = metric_rows()[row.metric].better;
  if (row.relative->low > 0) return better == Better::higher ? "better" : better == Better::lower ? "worse" : "more";
  if (row.relative->high < 0) return better == Better::higher ? "worse" : better == Better::lower ? "better" : "fewer";
  return row.relative->low == 0 && row.relative->high == 0 ? "same" : "cannot tell";
}

std::string basis_words(const ComparedRow& row) {
  if (!row.basis) return std::string(figures::none);
  if (*row.basis == Basis::sensors) return "1 and 1";
  const std::string what = *row.basis == Basis::runs ? "" : " requests";
  if (row.paired) return std::to_string(row.before.size()) + " pairs" + (what.empty() ? "" : " of" + what);
  return std::to_string(row.before.size()) + " and " + std::to_string(row.after.size()) + what;
}

std::string interval_words(const ComparedRow& row) {
  if (!row.relative) return std::string(figures::none);
  return signed_percent(row.relative->low) + "…" + signed_percent(row.relative->high) + " %";
}

std::string detectable_words(const ComparedRow& row) {
  if (!row.minimum_detectable || !row.mean_before || *row.mean_before == 0) return std::string(figures::none);
  return "±" + format_fixed(std::abs(*row.minimum_detectable / *row.mean_before) * 100, 1) + " %";
}

std::string table_of(const Comparison& c, const TextStyle& style, std::vector<std::string>& notes) {
  layout::TextTable table;
  table.columns = {{"", false},       {"before"},  {"after"},      {"change"},
                   {"interval 95 %"}, {"", false}, {"g", true, 2}, {"would have seen", true, 1},
                   {"of", true, 3}};
  std::vector<std::string> left_out;
  for (const ComparedRow& row : c.rows) {
    const MetricRow& metric = metric_rows()[row.metric];
    if (!row.mean_before && !row.mean_after) {
      if (row.absent.empty() || row.absent.starts_with("no requests") || row.absent.starts_with("joules of different"))
        continue;
      notes.push_back(std::string(metric.name) + ": " + row.absent);
      continue;
    }
    const std::string verdict = told(row);
    table.rows.push_back(
        {std::string(metric.name), value_words(row.mean_before, metric.unit), value_words(row.mean_after, metric.unit),
         row.relative ? signed_percent(row.relative->value) + " %" : std::string(figures::none), interval_words(row),
         verdict, row.hedges_g ? format_fixed(*row.hedges_g, 2) : std::string(figures::none), detectable_words(row),
         basis_words(row)});
    table.tones.push_back(verdict == "worse" ? Tone::warning : verdict == "better" ? Tone::strong : Tone::plain);
    if (!row.absent.empty()) notes.push_back(std::string(metric.name) + ": " + row.absent);
  }
  std::string text = table.render(style.width, style.colour, left_out);
  if (!left_out.empty()) {
    std::string words;
    for (const std::string& header : left_out) words += (words.empty() ? "" : ", ") + header;
    notes.push_back("not shown for want of width: " + words + " (--json has them)");
  }
  return text;
}

std::string advice(const Comparison& c) {
  for (const ComparedRow& row : c.rows) {
    if (row.basis != Basis::runs || !row.needed_for_5_percent || told(row) != "cannot tell") continue;
    const std::size_t have = std::min(row.before.size(), row.after.size());
    if (*row.needed_for_5_percent <= have) continue;
    return "to see a change of 5 % in " + std::string(metric_rows()[row.metric].name) + " takes about " +
           std::to_string(*row.needed_for_5_percent) + " Runs on each side, at this scatter";
  }
  return {};
}

}  // namespace

std::string to_text(const Comparison& c, const std::vector<GateOutcome>& gates, const TextStyle& style) {
  const auto runs = [](std::size_t n) { return n == 1 ? std::string("1 Run") : std::to_string(n) + " Runs"; };
  std::vector<std::string> notes;
  std::string text = "before  " + printable(c.before, style.width - 20) + " (" + runs(c.runs_before) + ")\nafter   " +
                     printable(c.after, style.width - 20) + " (" + runs(c.runs_after) + ")\n\n";
  text += table_of(c, style, notes) + "\n";
  for (const std::string& guard : c.guards)
    text += layout::labelled("mind", {printable(guard, 400)}, style.width, Tone::warning, style.colour);
  if (const std::string words = advice(c); !words.empty())
    text += layout::labelled("advice", {words}, style.width, Tone::plain, style.colour);
  for (const std::string& note : notes)
    text += layout::labelled("absent", {printable(note, 400)}, style.width, Tone::dim, style.colour);
  std::vector<std::string> settings;
  constexpr std::size_t most = 12;
  for (const FactDifference& one : c.settings) {
    if (settings.size() == most && !style.all_settings) {
      settings.push_back("and " + std::to_string(c.settings.size() - most) + " more (--json)");
      break;
    }
    const auto shown = [](const std::string& value) { return value.empty() ? "not told" : printable(value, 40); };
    settings.push_back(one.key + ": " + shown(one.before) + " → " + shown(one.after));
  }
  text += layout::labelled("differs", settings, style.width, Tone::plain, style.colour);
  for (const GateOutcome& gate : gates)
    text += layout::labelled(
        "fail if",
        {gate.condition.text + "  →  " + std::string(to_string(gate.verdict)) + ": " + printable(gate.why, 300)},
        style.width, gate.verdict == Verdict::no ? Tone::plain : Tone::warning, style.colour);
  return text;
}

}  // namespace prony::compare
