#include "reports/text_layout.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"

namespace prony::layout {

namespace {

constexpr std::size_t label_columns = 15;
constexpr std::size_t gap = 2;

std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::size_t has = display_width(text);
  if (has >= width) return text;
  return right ? std::string(width - has, ' ') + text : text + std::string(width - has, ' ');
}

std::string without_end_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

// Breaks one text at spaces into pieces of at most `width` columns.
std::vector<std::string> broken(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  for (const std::string_view word : split(text, ' ')) {
    const bool fits = display_width(line) + display_width(word) + (line.empty() ? 0 : 1) <= width;
    if (!line.empty() && !fits) {
      lines.push_back(line);
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  lines.push_back(line);
  return lines;
}

std::vector<std::string> wrapped(const std::vector<std::string>& items, std::size_t width) {
  constexpr std::string_view separator = " · ";
  std::vector<std::string> lines;
  for (const std::string& item : items) {
    if (!lines.empty() && display_width(lines.back()) + 3 + display_width(item) <= width) {
      lines.back() += std::string(separator) + item;
    } else {
      for (std::string& piece : broken(item, width)) lines.push_back(std::move(piece));
    }
  }
  return lines;
}

}  // namespace

std::string paint(std::string_view text, Tone tone, bool colour) {
  if (!colour || tone == Tone::plain || text.empty()) return std::string(text);
  const std::string_view code = tone == Tone::strong ? "1" : tone == Tone::dim ? "2" : "33";
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::string TextTable::render(std::size_t width, bool colour, std::vector<std::string>& left_out) const {
  std::vector<std::size_t> widths(columns.size(), 0);
  std::vector<bool> shown(columns.size(), false);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    for (const auto& row : rows) {
      widths[c] = std::max(widths[c], display_width(row[c]));
      shown[c] = shown[c] || !row[c].empty();
    }
    widths[c] = std::max(widths[c], display_width(columns[c].header));
  }
  const auto total = [&] {
    std::size_t sum = 1;
    for (std::size_t c = 0; c < columns.size(); ++c) sum += shown[c] ? widths[c] + gap : 0;
    return sum - gap;
  };
  const std::vector<std::size_t> natural = widths;
  const auto shrink = [&] {
    widths = natural;
    for (std::size_t c = 0; c < columns.size(); ++c)
      if (shown[c] && columns[c].least > 0 && total() > width)
        widths[c] = std::max(std::min(columns[c].least, widths[c]), widths[c] - std::min(widths[c], total() - width));
  };
  shrink();
  while (total() > width) {
    std::size_t worst = columns.size();
    for (std::size_t c = 0; c < columns.size(); ++c)
      if (shown[c] && columns[c].priority > 0 &&
          (worst == columns.size() || columns[c].priority > columns[worst].priority))
        worst = c;
    if (worst == columns.size()) break;
    shown[worst] = false;
    left_out.push_back(columns[worst].header);
    shrink();
  }
  const auto line_of = [&](const auto& text_of) {
    std::string line = " ";
    bool first = true;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if (!shown[c]) continue;
      if (!first) line += std::string(gap, ' ');
      first = false;
      line += pad(printable(text_of(c), widths[c]), widths[c], columns[c].right);
    }
    return without_end_spaces(line);
  };
  std::string out = paint(line_of([&](std::size_t c) { return columns[c].header; }), Tone::dim, colour) + "\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Tone tone = r < tones.size() ? tones[r] : Tone::plain;
    out += paint(line_of([&](std::size_t c) { return rows[r][c]; }), tone, colour) + "\n";
  }
  return out;
}

std::string labelled(std::string_view label, const std::vector<std::string>& items, std::size_t width, Tone tone,
                     bool colour) {
  if (items.empty()) return {};
  const std::size_t room = width > label_columns + 21 ? width - label_columns - 1 : 20;
  std::string out;
  bool first = true;
  for (const std::string& line : wrapped(items, room)) {
    const std::string head = pad(std::string(first ? label : ""), label_columns, false);
    out += " " + paint(head, tone == Tone::plain ? Tone::dim : tone, colour && first) + line + "\n";
    first = false;
  }
  return out;
}

std::string joined(const std::vector<std::string>& items, std::size_t width, std::size_t indent) {
  std::string out;
  for (const std::string& line : wrapped(items, width > indent + 20 ? width - indent : 20))
    out += (out.empty() ? "" : std::string(indent, ' ')) + line + "\n";
  return out;
}

std::string bar(double share, std::size_t cells) {
  constexpr std::array<std::string_view, 8> part{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double clamped = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0;
  auto eighths = static_cast<std::size_t>(std::llround(clamped * static_cast<double>(cells) * 8));
  if (clamped > 0 && eighths == 0) eighths = 1;  // something is never drawn as nothing
  std::string out;
  for (std::size_t i = 0; i < eighths / 8; ++i) out += "█";
  return out + std::string(part[eighths % 8]);
}

}  // namespace prony::layout
