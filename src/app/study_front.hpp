// What a study's variants cost against how fast they are: which of them no other one beats in both, in words and as a
// picture (SVG). By means over cycles; joules of different origin are never laid on one axis. Pure. Thread promise:
// plain values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/study_folder.hpp"

namespace prony::app {

struct FrontPoint {
  struct Axis {
    double mean = 0;
    std::optional<double> low, high;  // Student's t, 95 %; nothing of one run
  };
  std::string name;
  Axis joules;        // J per output token
  Axis rate;          // output tokens/s
  bool best = false;  // no other is at least as good in both and better in one
};

struct StudyFront {
  std::vector<FrontPoint> points;  // of variants whose runs all have both; empty: there is nothing to lay side by side
  bool charged = false;            // joules as charged to requests, else all that were drawn
  std::string origin;              // of all joules: measured, derived, modelled
};
[[nodiscard]] StudyFront study_front(const StudyManifest& manifest);
// "F16, Q4_0 · no other takes fewer J/token and makes more tokens/s …"; "": fewer than two points.
[[nodiscard]] std::string front_words(const StudyFront& front);
// A picture (reports/svg.hpp), by default a document of its own. "": fewer than two points.
[[nodiscard]] std::string front_svg(const StudyFront& front, const std::string& study, bool alone = true);

}  // namespace prony::app
