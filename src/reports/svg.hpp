// Pieces of a picture as SVG text: what all charts share. Coordinates are pixels of the picture, from its left upper
// corner. Nothing in it is fetched, and what is written is escaped whatever it holds. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace prony::svg {

// At most so many characters, without anything that would be markup.
[[nodiscard]] std::string escaped(std::string_view text, std::size_t most = 80);
[[nodiscard]] std::string pixel(double value);

// From a value to a place on the picture, with round numbers to write beside it.
struct Scale {
  double low = 0, high = 1;  // values
  double from = 0, to = 1;   // where these lie
  std::vector<double> ticks;
  [[nodiscard]] double at(double value) const;  // what lies beyond is drawn at the edge
};
// Over all from `least` to `most`, with a quarter of that around it, but not below 0.
[[nodiscard]] Scale scale_of(double least, double most, double from, double to);

// A tick's value with at most four digits and no zeros behind its last: "0", "0.5", "1 500".
[[nodiscard]] std::string tick_words(double value);

// `style`: a class of style_sheet() and more; `anchor`: start, middle, end; `more`: further attributes.
[[nodiscard]] std::string line(double x1, double y1, double x2, double y2, std::string_view style);
[[nodiscard]] std::string label(double x, double y, std::string_view anchor, std::string_view text,
                                std::string_view more = {});
// `told`: what is shown when it is pointed at.
[[nodiscard]] std::string dot(double x, double y, double radius, std::string_view style, std::string_view told = {});
[[nodiscard]] std::string box(double x, double y, double width, double height, std::string_view style,
                              std::string_view told = {}, std::string_view more = {});
struct Place {
  double x = 0, y = 0;
};
[[nodiscard]] std::string path(const std::vector<Place>& places, std::string_view style);   // a line through all
[[nodiscard]] std::string patch(const std::vector<Place>& places, std::string_view style);  // what they enclose

// Eight colours that people with any kind of colour vision tell apart (Okabe & Ito 2008): classes s0 … s7 (lines) and
// f0 … f7 (fillings); "grid", "range", "mean", "best", "beaten", "front", "cell".
[[nodiscard]] std::string_view style_sheet();
inline constexpr std::size_t colours = 8;
// From light to dark, 0 … 1; and from one end over white to the other, −1 … 1: as "rgb(…)".
[[nodiscard]] std::string shade(double share);
[[nodiscard]] std::string two_sided_shade(double value);

// A whole picture with a title and a description for those who do not see it. `alone`: a document of its own, with the
// style sheet; otherwise the page that holds it has that.
[[nodiscard]] std::string picture(double width, double height, std::string_view title, std::string_view described,
                                  std::string_view body, bool alone);

}  // namespace prony::svg
