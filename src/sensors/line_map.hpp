// LineMap: which column of a meter's lines is what, and LineParser: lines, as they come in pieces of any size, into
// readings. Lines are CSV (columns by name or by number from 1) or JSON, one object a line (columns by path). Lines
// that are none (a log before the header, half a line at the end) are counted and passed over. Pure; one thread.
// Units of readings: W, J, seconds since 1970 where a time column is named. Errors: usage.
// Source of the OmegaWatt columns: recordings of wattmetre-read (#timestamp,#frame_is_ok,#U1…,#current1…,#activepow1…).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/meter.hpp"

namespace prony {

struct LineMap {
  enum class Format { either, csv, json } format = Format::either;  // either: a line that begins with { is JSON
  char separator = ',';
  std::string time;                // seconds since 1970, or milli-, micro-, nanoseconds; "": none
  std::vector<std::string> watts;  // several: their sum (two power supplies)
  std::string volts, amps;         // their product
  std::string joules, kwh;         // a counter
  std::string sound;               // a column that must be true: "frame_is_ok"
  double factor = 1;               // of whichever is read

  [[nodiscard]] bool power() const { return !watts.empty() || !volts.empty(); }
  [[nodiscard]] bool energy() const { return !joules.empty() || !kwh.empty(); }
};

// Out of the options of a meter: map=omegawatt, watts=activepow1+activepow2, volts=, amps=, joules=, kwh=, time=,
// factor=0.01, separator=; (or tab, space, semicolon), format=csv|json.
[[nodiscard]] Result<LineMap> line_map_of(const Meter& meter);

struct LineReading {
  std::optional<double> time_s, watts, joules;
  double watts_step = 0, joules_step = 0;  // of the last decimals that the line has; 0: not known
};

// The finest that lines have shown: who writes 100 and then 100.5 has a step of 0.5 at most.
class FinestStep {
 public:
  void see(double step) noexcept {
    if (step > 0) step_ = step_ > 0 ? std::min(step_, step) : step;
  }
  // In counts of which `counts` make one unit; at least one count, where nothing is known too.
  [[nodiscard]] double in_counts(double counts) const noexcept { return std::max(1.0, step_ * counts); }

 private:
  double step_ = 0;
};

class LineParser {
 public:
  explicit LineParser(LineMap map) : map_(std::move(map)) {}
  // Calls `reading` for each whole line in what has come so far that holds one.
  void feed(std::string_view bytes, const std::function<void(const LineReading&)>& reading);
  [[nodiscard]] std::uint64_t lines() const noexcept { return lines_; }              // whole ones
  [[nodiscard]] std::uint64_t passed_over() const noexcept { return passed_over_; }  // of them, without a reading
  [[nodiscard]] bool half_line_left() const noexcept { return !rest_.empty(); }
  [[nodiscard]] std::string last_passed_over() const { return last_passed_over_; }
  [[nodiscard]] const LineMap& map() const noexcept { return map_; }

 private:
  [[nodiscard]] std::optional<LineReading> parse(std::string_view line);
  [[nodiscard]] std::optional<LineReading> parse_csv(std::string_view line);
  [[nodiscard]] std::optional<LineReading> parse_json(std::string_view line) const;
  [[nodiscard]] bool take_header(const std::vector<std::string_view>& fields);
  [[nodiscard]] std::vector<std::string> columns() const;
  struct Number {
    double value = 0;
    double step = 0;  // of its last decimal; 0: not known
  };
  [[nodiscard]] static std::optional<Number> number_in(std::string_view text);
  using Lookup = std::function<std::optional<Number>(const std::string&)>;
  [[nodiscard]] std::optional<LineReading> reading_of(const Lookup& number) const;

  LineMap map_;
  std::string rest_;
  bool skipping_ = false;            // in a line that is too long for one
  std::vector<std::string> header_;  // names; empty: none seen
  std::uint64_t lines_ = 0, passed_over_ = 0;
  std::string last_passed_over_;
};

}  // namespace prony
