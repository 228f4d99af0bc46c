#include "sensors/prometheus_text.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony {

namespace {

bool names(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

// Where the labels end: a brace may stand in a value, which is quoted, and a quote in it is escaped.
std::size_t end_of_labels(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text[i] == '}')
      return i;
  }
  return std::string_view::npos;
}

bool take_line(std::string_view line, const std::function<void(const MetricLine&)>& take) {
  MetricLine metric;
  const auto end = std::ranges::find_if_not(line, names);
  metric.name = line.substr(0, static_cast<std::size_t>(end - line.begin()));
  if (metric.name.empty() || (metric.name.front() >= '0' && metric.name.front() <= '9')) return false;
  std::string_view rest = line.substr(metric.name.size());
  if (trim(rest).starts_with('{')) {
    rest.remove_prefix(rest.find('{') + 1);
    const std::size_t close = end_of_labels(rest);
    if (close == std::string_view::npos) return false;
    metric.labels = rest.substr(0, close);
    rest.remove_prefix(close + 1);
  } else if (rest.empty() || (rest.front() != ' ' && rest.front() != '\t')) {
    return false;
  }
  rest = trim(rest);
  const auto value = parse_finite(rest.substr(0, rest.find_first_of(" \t")));  // a time or an exemplar may follow
  if (!value) return false;
  metric.value = *value;
  take(metric);
  return true;
}

}  // namespace

std::size_t for_each_metric(std::string_view text, const std::function<void(const MetricLine&)>& take) {
  std::size_t odd = 0;
  for_each_line(text, [&](std::string_view line) {
    line = trim(line);
    if (line.empty() || line.starts_with('#')) return;
    if (!take_line(line, take)) ++odd;
  });
  return odd;
}

}  // namespace prony
