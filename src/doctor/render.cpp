// One screen, and the same as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "reports/text_layout.hpp"

namespace prony::doctor {

namespace {

using layout::Tone;

constexpr std::size_t most_energy_rows = 10, most_open_findings = 12;
constexpr std::size_t label_width = 9, name_width = 18;

std::string padded(const std::string& text, std::size_t columns) {
  const std::size_t used = display_width(text);
  return used >= columns ? text + " " : text + std::string(columns - used, ' ');
}

// Words in lines of at most `width` columns; `first` stands before the first line, blanks before the others.
std::string wrapped(const std::string& first, std::string_view text, std::size_t width) {
  const std::size_t indent = display_width(first);
  std::string out = first;
  std::size_t used = indent;
  bool begun = false;
  for (const std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    const std::size_t columns = display_width(word);
    if (begun && used + 1 + columns > width) {
      out += "\n" + std::string(indent, ' ');
      used = indent;
      begun = false;
    }
    out += (begun ? " " : "") + std::string(word);
    used += columns + (begun ? 1 : 0);
    begun = true;
  }
  return out + "\n";
}

std::string step_words(const EnergySource& source) {
  if (source.step_unit == "s") return time_words(source.step);
  const std::pair<double, const char*> units[] = {{1, ""}, {1e-3, "m"}, {1e-6, "µ"}};
  for (const auto& [factor, sign] : units)
    if (source.step >= factor * 0.9995) return number_words(source.step / factor) + " " + sign + source.step_unit;
  return number_words(source.step * 1e9) + " n" + source.step_unit;
}

std::string energy_table(const Report& report, std::size_t width, bool colour) {
  if (report.energy.empty()) return {};
  layout::TextTable table;
  table.columns = {{"joules of", false, 0, 0}, {"sensor", false, 0, 0},         {"updates", true, 2, 0},
                   {"step", true, 1, 0},       {"shortest window", true, 0, 0}, {"", false, 3, 0}};
  for (const EnergySource& source : report.energy) {
    if (table.rows.size() == most_energy_rows) break;
    const std::string name = (source.within.empty() ? "" : "└ ") + printable(source.domain, 30) +
                             (source.modelled     ? " ~"
                              : source.calibrated ? " ≈"
                                                  : "");
    table.rows.push_back({name, printable(source.sensor, 16),
                          source.update_period_s ? time_words(*source.update_period_s) : "–", step_words(source),
                          (source.window_is_least ? "≥ " : "") + time_words(source.shortest_window_s),
                          source.modelled          ? "modelled: a range"
                          : source.calibrated      ? "derived: calibrated"
                          : source.doubted         ? "not seen to count"
                          : !source.coverage_known ? "may overlap others"
                          : !source.within.empty() ? "in " + printable(source.within, 20)
                                                   : ""});
  }
  std::vector<std::string> left_out;
  std::string text = table.render(width, colour, left_out);
  if (report.energy.size() > most_energy_rows)
    text += " and " + std::to_string(report.energy.size() - most_energy_rows) + " more: `prony sensors`\n";
  return text;
}

std::string conclusion(const Report& report) {
  const auto count = [&](Verdict verdict) { return std::ranges::count(report.findings, verdict, &Finding::verdict); };
  const bool measured = std::ranges::any_of(report.energy, [](const EnergySource& source) {
    return !source.modelled && !source.calibrated && !source.doubted;
  });
  std::string text = measured                ? "joules are measured here"
                     : report.energy.empty() ? "no joules here, neither measured nor modelled"
                     : std::ranges::any_of(report.energy, &EnergySource::calibrated)
                         ? "joules are derived here (≈): a model, calibrated against a meter"
                         : "joules are modelled here (~), not measured";
  const auto missing = count(Verdict::missing), poor = count(Verdict::poor);
  if (missing + poor == 0) return text + " · nothing to mend";
  if (missing > 0) text += " · " + std::to_string(missing) + " missing, with what mends it";
  if (poor > 0) text += " · " + std::to_string(poor) + (poor == 1 ? " makes" : " make") + " numbers poor";
  return text;
}

}  // namespace

std::string to_text(const Report& report, std::size_t width, bool colour) {
  width = std::clamp<std::size_t>(width, 60, 100);
  constexpr std::string_view name = "prony doctor";
  std::string out = wrapped(std::string(name) + " · ", report.machine, width);
  out.replace(0, name.size(), layout::paint(name, Tone::strong, colour));
  out += wrapped(" ", conclusion(report), width) + "\n";
  const std::string energy = energy_table(report, width, colour);
  out += energy;
  if (!energy.empty()) out += "\n";
  std::vector<std::string> well;
  std::size_t shown = 0, hidden = 0;
  for (const Finding& finding : report.findings) {
    if (finding.verdict == Verdict::ok) {
      well.push_back(finding.check + " " + finding.text);
      continue;
    }
    if (++shown > most_open_findings) {
      ++hidden;
      continue;
    }
    const bool bad = finding.verdict != Verdict::note;
    std::string label = " " + std::string(to_string(finding.verdict));
    std::ranges::transform(label, label.begin(),
                           [&](char c) { return bad && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    out += wrapped(padded(label, label_width) + padded(finding.check, name_width), finding.text, width);
    if (!finding.remedy.empty())
      out += wrapped(std::string(label_width + name_width, ' ') + "→ ", finding.remedy, width);
  }
  if (hidden > 0) out += " and " + std::to_string(hidden) + " more: `prony doctor --json`\n";
  std::string all_well;
  for (const std::string& text : well) all_well += (all_well.empty() ? "" : " · ") + text;
  if (!all_well.empty()) out += wrapped(padded(" ok", label_width), all_well, width);
  return out;
}

std::string to_json(const Report& report) {
  nlohmann::json energy = nlohmann::json::array(), findings = nlohmann::json::array();
  for (const EnergySource& source : report.energy) {
    nlohmann::json row{{"channel", source.channel},
                       {"domain", source.domain},
                       {"sensor", source.sensor},
                       {"origin", source.modelled     ? "modelled"
                                  : source.calibrated ? "derived"
                                                      : "measured"},
                       {"coverage_known", source.coverage_known},
                       {"step", source.step},
                       {"step_unit", source.step_unit},
                       {"shortest_window_s", source.shortest_window_s},
                       {"window_is_least", source.window_is_least}};
    if (source.update_period_s) row["update_period_s"] = *source.update_period_s;
    if (!source.within.empty()) row["part_of"] = source.within;
    if (source.doubted) row["seen_to_count"] = false;
    energy.push_back(std::move(row));
  }
  for (const Finding& finding : report.findings) {
    nlohmann::json row{{"check", finding.check}, {"verdict", to_string(finding.verdict)}, {"text", finding.text}};
    if (!finding.remedy.empty()) row["remedy"] = finding.remedy;
    for (const auto& [name, value] : finding.numbers) row["numbers"][name] = value;
    findings.push_back(std::move(row));
  }
  const nlohmann::json document{{"schema", 1},
                                {"machine", report.machine},
                                {"exit_code", exit_code_of(report)},
                                {"energy", std::move(energy)},
                                {"findings", std::move(findings)}};
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace prony::doctor
