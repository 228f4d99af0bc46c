#include "app/study_front.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/svg.hpp"

namespace prony::app {

namespace {

using svg::label, svg::line, svg::Scale;

constexpr double picture_width = 720, picture_height = 480, left = 90, right = 30, top = 60, bottom = 70;

FrontPoint::Axis axis_of(const std::vector<double>& values) {
  FrontPoint::Axis axis;
  axis.mean = metrics::mean(values).value_or(0);
  if (const auto interval = metrics::mean_interval_95(values)) {
    axis.low = interval->low;
    axis.high = interval->high;
  }
  return axis;
}

// The means have the room; an interval that reaches beyond it is cut off at the edge.
Scale scale_over(const std::vector<FrontPoint>& points, FrontPoint::Axis FrontPoint::* axis, double from, double to) {
  double least = (points.front().*axis).mean, most = least;
  for (const FrontPoint& point : points) {
    least = std::min(least, (point.*axis).mean);
    most = std::max(most, (point.*axis).mean);
  }
  return svg::scale_of(least, most, from, to);
}

std::string frame(const Scale& x, const Scale& y, const StudyFront& front) {
  std::string out;
  for (const double tick : x.ticks)
    out += line(x.at(tick), top, x.at(tick), picture_height - bottom, "grid") +
           label(x.at(tick), picture_height - bottom + 18, "middle", svg::tick_words(tick));
  for (const double tick : y.ticks)
    out += line(left, y.at(tick), picture_width - right, y.at(tick), "grid") +
           label(left - 8, y.at(tick) + 4, "end", svg::tick_words(tick * 1e3));
  const std::string origin = front.origin.empty() || front.origin == "measured" ? "" : ", " + front.origin;
  out += label((left + picture_width - right) / 2, picture_height - 22, "middle", "output tokens/s (more is better)");
  const double middle = (top + picture_height - bottom) / 2;
  out += label(22, middle, "middle",
               std::string(front.charged ? "mJ" : "gross mJ") + " per output token" + origin + " (less is better)",
               " transform=\"rotate(-90 22 " + svg::pixel(middle) + ")\"");
  return out;
}

std::string mark(const FrontPoint& point, const Scale& x, const Scale& y) {
  const double at_x = x.at(point.rate.mean), at_y = y.at(point.joules.mean);
  std::string out;
  if (point.rate.low) out += line(x.at(*point.rate.low), at_y, x.at(*point.rate.high), at_y, "range");
  if (point.joules.low) out += line(at_x, y.at(*point.joules.low), at_x, y.at(*point.joules.high), "range");
  out += svg::dot(at_x, at_y, 5, point.best ? "best" : "beaten");
  const bool far_right = at_x > picture_width * 0.75;
  return out + label(at_x + (far_right ? -9 : 9), at_y - 9, far_right ? "end" : "start", printable(point.name, 80));
}

}  // namespace

StudyFront study_front(const StudyManifest& manifest) {
  StudyFront front;
  if (manifest.kind != "llm") return front;
  std::vector<const StudyAttempt*> all;
  for (const StudyRun& run : manifest.runs)
    if (const StudyAttempt* good = run.good()) all.push_back(good);
  if (all.empty()) return front;
  front.charged = std::ranges::all_of(
      all, [](const StudyAttempt* attempt) { return attempt->figures.contains("charged_j_per_output_token"); });
  const char* joules = front.charged ? "charged_j_per_output_token" : "gross_j_per_output_token";
  front.origin = all.front()->origin;
  for (const auto& variant : manifest.variants) {
    FrontPoint point;
    point.name = variant.at("name").get<std::string>();
    std::vector<double> energies, rates;
    bool whole = true;
    for (const StudyRun& run : manifest.runs) {
      const StudyAttempt* good = run.variant == point.name ? run.good() : nullptr;
      if (good == nullptr) continue;
      const auto energy = good->figures.find(joules), rate = good->figures.find("output_tokens_per_s");
      whole = whole && energy != good->figures.end() && rate != good->figures.end() && good->origin == front.origin;
      if (!whole) break;
      energies.push_back(energy->second);
      rates.push_back(rate->second);
    }
    if (!whole || energies.empty()) continue;
    point.joules = axis_of(energies);
    point.rate = axis_of(rates);
    front.points.push_back(std::move(point));
  }
  for (FrontPoint& one : front.points)
    one.best = std::ranges::none_of(front.points, [&](const FrontPoint& other) {
      return other.joules.mean <= one.joules.mean && other.rate.mean >= one.rate.mean &&
             (other.joules.mean < one.joules.mean || other.rate.mean > one.rate.mean);
    });
  return front;
}

std::string front_words(const StudyFront& front) {
  if (front.points.size() < 2) return {};
  std::string names;
  for (const FrontPoint& point : front.points)
    if (point.best) names += (names.empty() ? "" : ", ") + printable(point.name, 40);
  return names + ": by means, no other takes at most as much a token and is at least as fast" +
         (front.origin == simulated_origin ? " (simulated)" : "");
}

std::string front_svg(const StudyFront& front, const std::string& study, bool alone) {
  if (front.points.size() < 2) return {};
  const Scale x = scale_over(front.points, &FrontPoint::rate, left, picture_width - right);
  const Scale y = scale_over(front.points, &FrontPoint::joules, picture_height - bottom, top);
  std::string out =
      svg::label(left, 28, "start", study, " font-size=\"16\"") +
      svg::label(left, 46, "start", "means over cycles; lines: Student's t, 95 %; filled: no other beats it in both");
  out += frame(x, y, front);
  std::vector<const FrontPoint*> best;
  for (const FrontPoint& point : front.points)
    if (point.best) best.push_back(&point);
  std::ranges::sort(best, {}, [](const FrontPoint* point) { return point->rate.mean; });
  std::vector<svg::Place> corners;
  for (const FrontPoint* point : best) corners.push_back({x.at(point->rate.mean), y.at(point->joules.mean)});
  if (best.size() > 1) out += svg::path(corners, "front");
  for (const FrontPoint& point : front.points) out += mark(point, x, y);
  return svg::picture(picture_width, picture_height, study + ": energy against speed", front_words(front), out, alone);
}

}  // namespace prony::app
