#include "app/study_front.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

constexpr double picture_width = 720, picture_height = 480, left = 90, right = 30, top = 60, bottom = 70;
constexpr int most_ticks = 6;

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : printable(text, 80)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string pixel(double value) { return format_fixed(value, 1); }

FrontPoint::Axis axis_of(const std::vector<double>& values) {
  FrontPoint::Axis axis;
  axis.mean = metrics::mean(values).value_or(0);
  if (const auto interval = metrics::mean_interval_95(values)) {
    axis.low = interval->low;
    axis.high = interval->high;
  }
  return axis;
}

// From a value to a place on the picture, with round numbers to write beside it.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  std::vector<double> ticks;
  [[nodiscard]] double at(double value) const {
    return from + (to - from) * std::clamp((value - low) / (high - low), 0.0, 1.0);
  }
};

// The means have the room; an interval that reaches beyond it is cut off at the edge.
Scale scale_of(const std::vector<FrontPoint>& points, FrontPoint::Axis FrontPoint::* axis, double from, double to) {
  double least = (points.front().*axis).mean, most = least;
  for (const FrontPoint& point : points) {
    least = std::min(least, (point.*axis).mean);
    most = std::max(most, (point.*axis).mean);
  }
  const double room = most > least ? (most - least) * 0.25 : std::max(std::abs(most) * 0.25, 1e-12);
  Scale scale{std::max(0.0, least - room), most + room, from, to, {}};
  double step = std::pow(10, std::floor(std::log10((scale.high - scale.low) / most_ticks)));
  for (const double times : {2.0, 2.5, 2.0})
    if ((scale.high - scale.low) / step > most_ticks) step *= times;
  for (double tick = std::ceil(scale.low / step) * step; tick <= scale.high && scale.ticks.size() < 20; tick += step)
    scale.ticks.push_back(tick);
  return scale;
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return "<line x1=\"" + pixel(x1) + "\" y1=\"" + pixel(y1) + "\" x2=\"" + pixel(x2) + "\" y2=\"" + pixel(y2) +
         "\" class=\"" + style + "\"/>\n";
}

std::string label(double x, double y, const char* anchor, const std::string& text, const std::string& more = {}) {
  return "<text x=\"" + pixel(x) + "\" y=\"" + pixel(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" + xml(text) +
         "</text>\n";
}

std::string frame(const Scale& x, const Scale& y, const StudyFront& front) {
  std::string out;
  for (const double tick : x.ticks)
    out += line(x.at(tick), top, x.at(tick), picture_height - bottom, "grid") +
           label(x.at(tick), picture_height - bottom + 18, "middle", figures::significant(tick, 4));
  for (const double tick : y.ticks)
    out += line(left, y.at(tick), picture_width - right, y.at(tick), "grid") +
           label(left - 8, y.at(tick) + 4, "end", figures::significant(tick * 1e3, 4));
  const std::string origin = front.origin.empty() || front.origin == "measured" ? "" : ", " + front.origin;
  out += label((left + picture_width - right) / 2, picture_height - 22, "middle", "output tokens/s (more is better)");
  const double middle = (top + picture_height - bottom) / 2;
  out += label(22, middle, "middle",
               std::string(front.charged ? "mJ" : "gross mJ") + " per output token" + origin + " (less is better)",
               " transform=\"rotate(-90 22 " + pixel(middle) + ")\"");
  return out;
}

std::string mark(const FrontPoint& point, const Scale& x, const Scale& y) {
  const double at_x = x.at(point.rate.mean), at_y = y.at(point.joules.mean);
  std::string out;
  if (point.rate.low) out += line(x.at(*point.rate.low), at_y, x.at(*point.rate.high), at_y, "range");
  if (point.joules.low) out += line(at_x, y.at(*point.joules.low), at_x, y.at(*point.joules.high), "range");
  out += "<circle cx=\"" + pixel(at_x) + "\" cy=\"" + pixel(at_y) + "\" r=\"5\" class=\"" +
         (point.best ? "best" : "beaten") + "\"/>\n";
  const bool far_right = at_x > picture_width * 0.75;
  return out + label(at_x + (far_right ? -9 : 9), at_y - 9, far_right ? "end" : "start", point.name);
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

std::string front_svg(const StudyFront& front, const std::string& study) {
  if (front.points.size() < 2) return {};
  const Scale x = scale_of(front.points, &FrontPoint::rate, left, picture_width - right);
  const Scale y = scale_of(front.points, &FrontPoint::joules, picture_height - bottom, top);
  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + pixel(picture_width) + "\" height=\"" +
      pixel(picture_height) + "\" viewBox=\"0 0 " + pixel(picture_width) + " " + pixel(picture_height) +
      "\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n<title>" + xml(study) +
      ": energy against speed</title>\n<desc>" + xml(front_words(front)) +
      "</desc>\n<style>.grid{stroke:#ddd}.range{stroke:#555}.best{fill:#0072b2;stroke:#0072b2}"
      ".beaten{fill:#fff;stroke:#0072b2;stroke-width:2}.front{fill:none;stroke:#0072b2;"
      "stroke-dasharray:4 3}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n" +
      label(left, 28, "start", study, " font-size=\"16\"") +
      label(left, 46, "start", "means over cycles; lines: Student's t, 95 %; filled: no other beats it in both");
  out += frame(x, y, front);
  std::vector<const FrontPoint*> best;
  for (const FrontPoint& point : front.points)
    if (point.best) best.push_back(&point);
  std::ranges::sort(best, {}, [](const FrontPoint* point) { return point->rate.mean; });
  std::string path;
  for (const FrontPoint* point : best)
    path += (path.empty() ? "" : " ") + pixel(x.at(point->rate.mean)) + "," + pixel(y.at(point->joules.mean));
  if (best.size() > 1) out += "<polyline points=\"" + path + "\" class=\"front\"/>\n";
  for (const FrontPoint& point : front.points) out += mark(point, x, y);
  return out + "</svg>\n";
}

}  // namespace prony::app
