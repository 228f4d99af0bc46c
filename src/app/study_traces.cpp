#include "app/study_traces.hpp"

#include <algorithm>

#include "app/study_chart_parts.hpp"
#include "app/windows.hpp"
#include "base/text.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

constexpr std::size_t most_traces = 8;  // as many as there are colours
constexpr std::int64_t most_parts = 64, fewest_parts = 8;

// So many equal parts of the window after the window itself.
std::vector<Interval> parts_of(const Interval& window, std::int64_t parts) {
  std::vector<Interval> out{window};
  for (std::int64_t i = 0; i < parts; ++i)
    out.push_back(
        {{window.begin.ns + window.length().ns * i / parts}, {window.begin.ns + window.length().ns * (i + 1) / parts}});
  return out;
}

std::vector<ChannelId> headline_channels(const Ledger& ledger) {
  std::vector<ChannelId> ids;
  for (const ChannelLedger& channel : ledger.energy)
    if (channel.headline) ids.push_back(channel.channel);
  return ids;
}

// Fewer parts where the sensor is too slow for many: each must tell its own joules.
std::vector<double> trace_watts(const Run& run, const Interval& window) {
  for (std::int64_t parts = most_parts; parts >= fewest_parts; parts /= 2) {
    const auto ledgers = ledgers_of(run, parts_of(window, parts));
    if (!ledgers || ledgers->empty()) return {};
    const std::vector<ChannelId> channels = headline_channels(ledgers->front());
    if (channels.empty()) return {};
    std::vector<double> watts;
    for (std::size_t i = 1; i < ledgers->size(); ++i)
      if (const auto mean = mean_watts((*ledgers)[i], channels)) watts.push_back(mean->value);
    if (watts.size() == static_cast<std::size_t>(parts)) return watts;
  }
  return {};
}

}  // namespace

std::vector<PowerTrace> power_traces(const std::filesystem::path& folder, const StudyManifest& manifest) {
  std::vector<PowerTrace> traces;
  for (const auto& variant : manifest.variants) {
    if (traces.size() == most_traces) break;
    const auto name = variant.at("name").get<std::string>();
    const auto first = std::ranges::find_if(
        manifest.runs, [&](const StudyRun& run) { return run.variant == name && run.good() != nullptr; });
    if (first == manifest.runs.end()) continue;
    const auto run = Run::open((folder / first->good()->run).string());
    if (!run) continue;
    const auto span = std::ranges::find((*run)->spans(), SpanKind::run, &Span::kind);
    if (span == (*run)->spans().end() || span->interval.length().ns <= 0) continue;
    PowerTrace trace{name, first->good()->origin, span->interval.length().seconds().value(),
                     trace_watts(**run, span->interval)};
    if (!trace.watts.empty()) traces.push_back(std::move(trace));
  }
  return traces;
}

std::string trace_chart(const std::vector<PowerTrace>& all) {
  if (all.empty()) return {};
  std::vector<const PowerTrace*> traces;
  for (const PowerTrace& trace : all)
    if (trace.origin == all.front().origin) traces.push_back(&trace);
  double longest = 0, most = 0;
  for (const PowerTrace* trace : traces) {
    longest = std::max(longest, trace->length_s);
    most = std::max(most, *std::ranges::max_element(trace->watts));
  }
  constexpr double left = 80, right = 500, top = 40, low = 300;
  svg::Scale x = svg::scale_of(0, longest, left, right), y = svg::scale_of(0, most, low, top);
  const std::string& origin = all.front().origin;
  std::string out = charts::upright_axis(y, left, right, "W" + (origin == "measured" ? "" : ", " + origin), 1);
  for (const double tick : x.ticks)
    out += svg::line(x.at(tick), top, x.at(tick), low, "grid") +
           svg::label(x.at(tick), low + 18, "middle", svg::tick_words(tick));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    const PowerTrace& trace = *traces[i];
    const double each = trace.length_s / static_cast<double>(trace.watts.size());
    std::vector<svg::Place> steps;  // each mean holds for its part
    for (std::size_t part = 0; part < trace.watts.size(); ++part)
      for (const std::size_t end : {part, part + 1})
        steps.push_back({x.at(each * static_cast<double>(end)), y.at(trace.watts[part])});
    out += svg::path(steps, "lines " + charts::colour("s", i));
    names.push_back(printable(trace.variant, 30));
  }
  out += charts::legend(names, right + 14, top + 6) +
         svg::label((left + right) / 2, low + 40, "middle", "seconds since the run began") +
         svg::label(12, 20, "start", "power of each variant's first finished run: means over equal parts of it");
  return svg::picture(charts::wide, low + 60, "power over time", "a line a variant", out, false);
}

}  // namespace prony::app
