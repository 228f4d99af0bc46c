// What a recording of a network's layers holds once it is read, whichever tool wrote it: times of each layer, one for
// each inference or only their summary; end-to-end times; and what is wrong in the files, said in words. Plain values.
// Units: milliseconds as in the files; instants are microseconds since 1970-01-01 00:00 on the recorder's local clock,
// whose zone the files do not tell. Absent is absent.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/network_layers.hpp"

namespace prony::layers {

// As pandas' describe(): deviation of a sample (n − 1), quartiles by linear interpolation.
struct Spread {
  std::size_t count = 0;
  double mean = 0;
  std::optional<double> deviation;  // absent below two values
  double least = 0, quarter = 0, median = 0, three_quarters = 0, most = 0;
};
[[nodiscard]] std::optional<Spread> spread_of(std::vector<double> values);  // absent: no values

struct LayerTimes {
  std::string name;
  std::string type;                   // as the file has it: "CaskConvolution"; "": not told
  std::vector<double> ms;             // one for each inference, in their order; empty where only a summary is there
  std::vector<std::int64_t> told_us;  // when the layer's time was told: as long as `ms`, or empty
  std::optional<double> mean_ms, median_ms, total_ms;  // a summary that the file gives, if it gives one
  std::optional<std::uint64_t> runs;                   // of that summary
  std::optional<double> told_w;                        // above idle, as the file has it: see the notes on what it is
};

// One figure of a whole file: "mean power", 5.2, "W".
struct Fact {
  std::string name;
  double value = 0;
  std::string unit;
};

struct Recording {
  std::string kind;                  // "EdgeProfiler layer latencies", "trtexec profile" …
  std::vector<LayerTimes> layers;    // in the order of the file, which is that of execution
  std::vector<double> inference_ms;  // end to end; empty: not told
  bool of_calls = false;             // a layer has a time for each call of it: an inference may hold several, or none
  std::optional<NetworkLayers> network;
  std::vector<Fact> facts;
  std::vector<std::string> notes;  // what is wrong in the files or was taken for something, one sentence each
};

[[nodiscard]] std::optional<double> mean_of(std::span<const double> values);  // absent: no values

// Mean time of a layer, whichever way it is there.
[[nodiscard]] std::optional<double> mean_ms(const LayerTimes& layer);

// All times of a layer together. Absent: only a mean is there, and not of how many.
[[nodiscard]] std::optional<double> total_ms(const LayerTimes& layer);

// Shares of the layers in the time of all of them, as long as the layers: of all their times, or of their means where a
// layer has no more. Absent: of a layer without a time, and of all where there is none.
[[nodiscard]] std::vector<std::optional<double>> shares_of(const Recording& recording);

// What the layers of one inference take together: the sum of their means. Absent: no layer has any time, or layers were
// called in different numbers, and which of them an inference holds is not known.
[[nodiscard]] std::optional<double> together_ms(const Recording& recording);

// The row that makes layers add up to the whole: end to end less the sum of the layers' means. Negative where layers
// were timed apart from the whole and a profiler slowed them down. Absent: no end-to-end times, a layer without any, or
// layers that do not add up (together_ms).
struct Unattributed {
  double whole_ms = 0, layers_ms = 0;
  [[nodiscard]] double ms() const { return whole_ms - layers_ms; }
};
[[nodiscard]] std::optional<Unattributed> unattributed(const Recording& recording);

// As Python writes a float: 5500000.0, 1e-05, 0.1.
[[nodiscard]] std::string python_number(double value);

// As Python 3.12 adds up floats: with what each addition lost carried along (Neumaier). EdgeProfiler asks for 3.12.
class PythonSum {
 public:
  void add(double value) noexcept {
    const double sum = sum_ + value;
    lost_ += std::fabs(sum_) >= std::fabs(value) ? (sum_ - sum) + value : (value - sum) + sum_;
    sum_ = sum;
  }
  [[nodiscard]] double value() const noexcept;

 private:
  double sum_ = 0, lost_ = 0;
};

}  // namespace prony::layers
