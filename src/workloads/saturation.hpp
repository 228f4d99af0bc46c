// Saturation: whether a server falls behind an open load: both the number of requests under way and the time to the
// first token grow, each with a slope whose 95 % interval (Student's t) lies above zero, and by as much as their mean
// over what was seen, so that a significant trifle is none. Pure; constant memory. Definition after GuideLLM's
// over-saturation stop, docs/load.md.
#pragma once

#include <cstddef>

namespace prony {

class Saturation {
 public:
  // When the request was due, how many were under way then, and how long its first token took from when it was due.
  void add(double at_s, double under_way, double ttft_s);
  [[nodiscard]] bool over() const;
  [[nodiscard]] std::size_t count() const noexcept { return under_way_.count; }

  static constexpr std::size_t least = 30;

 private:
  // Sums of a straight line's fit, about the first point.
  struct Line {
    std::size_t count = 0;
    double x0 = 0, y0 = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, first = 0, last = 0;
    void add(double at, double value);
    [[nodiscard]] bool grows() const;
  };
  Line under_way_, ttft_;
};

}  // namespace prony
