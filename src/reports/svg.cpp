#include "reports/svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony::svg {

namespace {

constexpr int most_ticks = 6;

std::string title_of(std::string_view told) {
  return told.empty() ? std::string("/>\n") : "><title>" + escaped(told) + "</title>";
}

std::string points(const std::vector<Place>& places) {
  std::string out;
  for (const Place& place : places) out += (out.empty() ? "" : " ") + pixel(place.x) + "," + pixel(place.y);
  return out;
}

std::string attribute(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + std::string(value) + "\"";
}

std::string mixed(const std::array<double, 3>& a, const std::array<double, 3>& b, double share) {
  std::string out = "rgb(";
  for (std::size_t i = 0; i < 3; ++i) out += (i > 0 ? "," : "") + format_fixed(a[i] + (b[i] - a[i]) * share, 0);
  return out + ")";
}

constexpr std::array<double, 3> white{255, 255, 255}, blue{0, 114, 178}, vermilion{213, 94, 0};

}  // namespace

std::string escaped(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : printable(text, most)) {
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

double Scale::at(double value) const { return from + (to - from) * std::clamp((value - low) / (high - low), 0.0, 1.0); }

Scale scale_of(double least, double most, double from, double to) {
  const double room = most > least ? (most - least) * 0.25 : std::max(std::abs(most) * 0.25, 1e-12);
  Scale scale{least < 0 ? least - room : std::max(0.0, least - room), most + room, from, to, {}};
  double step = std::pow(10, std::floor(std::log10((scale.high - scale.low) / most_ticks)));
  for (const double times : {2.0, 2.5, 2.0})
    if ((scale.high - scale.low) / step > most_ticks) step *= times;
  for (double tick = std::ceil(scale.low / step) * step; tick <= scale.high && scale.ticks.size() < 20; tick += step)
    scale.ticks.push_back(tick);
  return scale;
}

std::string tick_words(double value) {
  std::string words = figures::significant(value, 4);
  if (words.find('.') != std::string::npos) {
    words.erase(words.find_last_not_of('0') + 1);
    if (words.ends_with('.')) words.pop_back();
  }
  return words;
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return "<line" + attribute("x1", pixel(x1)) + attribute("y1", pixel(y1)) + attribute("x2", pixel(x2)) +
         attribute("y2", pixel(y2)) + attribute("class", style) + "/>\n";
}

std::string label(double x, double y, std::string_view anchor, std::string_view text, std::string_view more) {
  return "<text" + attribute("x", pixel(x)) + attribute("y", pixel(y)) + attribute("text-anchor", anchor) +
         std::string(more) + ">" + escaped(text, 160) + "</text>\n";
}

std::string dot(double x, double y, double radius, std::string_view style, std::string_view told) {
  return "<circle" + attribute("cx", pixel(x)) + attribute("cy", pixel(y)) + attribute("r", pixel(radius)) +
         attribute("class", style) + title_of(told) + (told.empty() ? "" : "</circle>\n");
}

std::string box(double x, double y, double width, double height, std::string_view style, std::string_view told,
                std::string_view more) {
  return "<rect" + attribute("x", pixel(x)) + attribute("y", pixel(y)) + attribute("width", pixel(width)) +
         attribute("height", pixel(height)) + attribute("class", style) + std::string(more) + title_of(told) +
         (told.empty() ? "" : "</rect>\n");
}

std::string path(const std::vector<Place>& places, std::string_view style) {
  return "<polyline" + attribute("points", points(places)) + attribute("class", style) + "/>\n";
}

std::string patch(const std::vector<Place>& places, std::string_view style) {
  return "<polygon" + attribute("points", points(places)) + attribute("class", style) + "/>\n";
}

std::string_view style_sheet() {
  return ".grid{stroke:#ddd}.range{stroke:#555}.mean{stroke:#000;stroke-width:2}.cell{stroke:#fff}"
         ".best{fill:#0072b2;stroke:#0072b2}.beaten{fill:#fff;stroke:#0072b2;stroke-width:2}"
         ".front{fill:none;stroke:#0072b2;stroke-dasharray:4 3}.ring{fill:none;stroke:#000;stroke-width:2}"
         ".lines{fill:none;stroke-width:2}.band{fill-opacity:.15;stroke:none}.faint{fill-opacity:.5}"
         ".s0{stroke:#0072b2}.s1{stroke:#d55e00}.s2{stroke:#009e73}.s3{stroke:#cc79a7}"
         ".s4{stroke:#e69f00}.s5{stroke:#56b4e9}.s6{stroke:#000}.s7{stroke:#8c8c00}"
         ".f0{fill:#0072b2}.f1{fill:#d55e00}.f2{fill:#009e73}.f3{fill:#cc79a7}"
         ".f4{fill:#e69f00}.f5{fill:#56b4e9}.f6{fill:#000}.f7{fill:#8c8c00}";
}

std::string shade(double share) { return mixed({235, 245, 251}, blue, std::clamp(share, 0.0, 1.0)); }

std::string two_sided_shade(double value) {
  return mixed(white, value < 0 ? vermilion : blue, std::min(1.0, std::abs(value)));
}

std::string picture(double width, double height, std::string_view title, std::string_view described,
                    std::string_view body, bool alone) {
  std::string out = "<svg";
  if (alone) out += attribute("xmlns", "http://www.w3.org/2000/svg");
  out += attribute("width", pixel(width)) + attribute("height", pixel(height)) +
         attribute("viewBox", "0 0 " + pixel(width) + " " + pixel(height)) + attribute("role", "img") +
         attribute("font-family", "sans-serif") + attribute("font-size", "12") + ">\n<title>" + escaped(title) +
         "</title>\n<desc>" + escaped(described, 400) + "</desc>\n";
  if (alone) out += "<style>" + std::string(style_sheet()) + "</style>\n";
  out += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  return out + std::string(body) + "</svg>\n";
}

}  // namespace prony::svg
