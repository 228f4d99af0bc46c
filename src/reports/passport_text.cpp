#include "reports/passport_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/text.hpp"
#include "reports/text_layout.hpp"

namespace prony {

namespace {

constexpr const char* dash = "–";

std::string three_digits(double value) {
  const double size = std::abs(value);
  std::string text = format_fixed(value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string maybe_time(const std::optional<Duration>& duration) { return duration ? short_time(*duration) : dash; }

std::string updates_of(const ChannelPassport& p) {
  if (p.update_period)
    return short_time(*p.update_period) + (p.period_spread ? " ± " + short_time(*p.period_spread) : "");
  return p.faster_than ? "≤ " + short_time(*p.faster_than) : dash;
}

// What is not known, said once for all channels that lack it for the same reason.
std::vector<std::string> reasons(const std::vector<ChannelPassport>& passports) {
  struct Entry {
    std::string field, kind, reason;  // kind: what comes before the figures
    std::vector<std::string> channels;
  };
  std::vector<Entry> entries;
  for (const auto& passport : passports)
    for (const auto& one : passport.absent) {
      const std::string kind = one.reason.substr(0, one.reason.find(": "));
      auto found = std::find_if(entries.begin(), entries.end(),
                                [&](const Entry& entry) { return entry.field == one.subject && entry.kind == kind; });
      if (found == entries.end()) found = entries.insert(entries.end(), {one.subject, kind, one.reason, {}});
      if (found->reason != one.reason) found->reason = kind;  // each its own figures: --json has them
      found->channels.push_back(passport.channel);
    }
  std::vector<std::string> lines;
  for (const auto& entry : entries) {
    std::string line = entry.field + ": " + entry.reason;
    std::replace(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(entry.field.size()), '_', ' ');
    if (entry.channels.size() == 1 && passports.size() > 1) line += " (" + entry.channels.front() + ")";
    if (entry.channels.size() > 1 && entry.channels.size() < passports.size())
      line += " (" + std::to_string(entry.channels.size()) + " of " + std::to_string(passports.size()) + " channels)";
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

std::string labelled_line(const std::string& label, const std::string& text, std::size_t width) {
  constexpr std::size_t indent = 16;
  std::string out, line = " " + label + std::string(indent - 1 - std::min(indent - 1, display_width(label)), ' ');
  bool empty = true;
  for (const auto word : split(text, ' ')) {
    if (!empty && display_width(line) + 1 + display_width(word) > width) {
      out += line + "\n";
      line = std::string(indent + 2, ' ');
      empty = true;
    }
    line += (empty ? "" : " ") + std::string(word);
    empty = false;
  }
  return out + line + "\n";
}

std::string short_time(Duration duration) {
  const auto ns = static_cast<double>(duration.ns);
  if (std::abs(ns) < 1e3) return std::to_string(duration.ns) + " ns";
  if (std::abs(ns) < 999.5e3) return three_digits(ns * 1e-3) + " µs";
  if (std::abs(ns) < 999.5e6) return three_digits(ns * 1e-6) + " ms";
  return three_digits(ns * 1e-9) + " s";
}

std::string short_value(double value, const std::string& unit) {
  if (unit == "celsius") return three_digits(value) + " °C";
  constexpr std::array<std::pair<double, const char*>, 6> prefixes{
      {{1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "µ"}, {1e-9, "n"}}};
  const std::string sign_unit = unit == "bytes" ? "B" : unit;
  for (const auto& [factor, sign] : prefixes)
    if (std::abs(value) >= 0.9995 * factor) return three_digits(value / factor) + " " + sign + sign_unit;
  return format_number(value) + " " + unit;
}

std::string passports_text(const std::vector<ChannelPassport>& passports, std::size_t width, bool colour) {
  width = std::max<std::size_t>(width, 60);
  layout::TextTable table;
  table.columns = {{"channel", false, 0, 20},   {"updates", true, 0, 0}, {"step", true, 0, 0},
                   {"noise", true, 3, 0},       {"read", true, 1, 0},    {"worst", true, 2, 0},
                   {"jitter", true, 4, 0},      {"phase ±", true, 5, 0}, {"averages", true, 6, 0},
                   {"others lose", true, 7, 0}, {"changes", true, 8, 0}};
  for (const auto& p : passports)
    table.rows.push_back({p.channel, updates_of(p), p.step ? short_value(*p.step, p.unit) : dash,
                          p.noise_rms ? short_value(*p.noise_rms, p.unit) : dash, maybe_time(p.read_cost),
                          maybe_time(p.worst_latency), maybe_time(p.jitter), maybe_time(p.phase_doubt),
                          maybe_time(p.averaging_window), maybe_time(p.slows_others), std::to_string(p.transitions)});
  std::vector<std::string> left_out;
  std::string out = table.render(width, colour, left_out);
  const auto told = [&](const char* label, const std::vector<std::string>& lines) {
    bool first = true;
    for (const auto& line : lines) {
      out += labelled_line(first ? label : "", line, width);
      first = false;
    }
  };
  std::vector<std::string> relations;
  for (const auto& p : passports) {
    if (!p.duplicate_of.empty())
      relations.push_back(p.channel + " shows the same numbers as " + p.duplicate_of + ": do not add the two");
    if (!p.contained_in.empty())
      relations.push_back(p.channel + " may be part of " + p.contained_in + ", which grew with it and never less");
    for (const auto& note : p.notes) relations.push_back(p.channel + ": " + note);
  }
  told("noticed", relations);
  told("not known", reasons(passports));
  if (!left_out.empty()) {
    std::string names;
    for (const auto& name : left_out) names += (names.empty() ? "" : ", ") + name;
    told("too narrow for", {names + " (--json has all)"});
  }
  return out;
}

}  // namespace prony
