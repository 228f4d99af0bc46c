// Reads what EdgeProfiler (fuzzylabs/edge-vision-power-estimation, 2024) writes on the device: times of layers, power
// log, idle power, benchmark. Reading is streamed: of a power log nothing is kept but what the caller keeps; of layer
// times one double and one instant each. What the files get wrong or leave open is said in `notes`. Layer times are
// [ms, time] as its code writes them or [time, ms] as its documentation has them, or bare ms as its desktop scripts
// write; a double-encoded document is read through. Errors: malformed (not that file, cut off), full (more than
// most_layer_times). Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/byte_source.hpp"
#include "layers/recording.hpp"
#include "layers/stamp.hpp"

namespace prony::layers {

inline constexpr std::size_t most_layer_times = 200'000'000;
inline constexpr std::size_t most_layers = 100'000;

// trt_layer_latency.json
[[nodiscard]] Result<Recording> read_layer_latencies(ByteSource& source);

// idling_power.json: microwatts.
struct IdlePower {
  double microwatt = 0;
  std::string stamp;
};
[[nodiscard]] Result<IdlePower> read_idle_power(ByteSource& source);

// <model>_tensorrt.json and its kin: seconds in the file, milliseconds here.
struct Benchmark {
  std::string model, dtype, stamp;
  std::vector<double> input_shape;
  std::vector<double> latency_ms;
  std::optional<double> total_s, mean_ms, per_second;
  bool double_encoded = false;
  std::vector<std::string> notes;
};
[[nodiscard]] Result<Benchmark> read_benchmark(ByteSource& source);

// <model>_power_log.log: local time, millivolts, milliamperes.
struct PowerReading {
  std::int64_t us = 0;
  double millivolt = 0, milliampere = 0;
  [[nodiscard]] double microwatt() const { return millivolt * milliampere; }
};
class PowerLog {
 public:
  explicit PowerLog(ByteSource& source) : lines_(source) {}
  // The next reading; absent: the end. A line that is none is counted and passed over.
  [[nodiscard]] Result<std::optional<PowerReading>> next();
  [[nodiscard]] std::size_t readings() const noexcept { return readings_; }
  [[nodiscard]] std::size_t bad_lines() const noexcept { return bad_; }
  [[nodiscard]] std::size_t first_bad_line() const noexcept { return first_bad_; }
  [[nodiscard]] std::size_t backwards() const noexcept { return backwards_; }  // stamps before the one above them
  [[nodiscard]] bool cut_off() const noexcept { return cut_off_; }             // the last line is half a line

 private:
  LineReader lines_;
  StampReader stamps_;
  std::size_t readings_ = 0, bad_ = 0, first_bad_ = 0, backwards_ = 0;
  std::int64_t last_us_ = 0;
  bool cut_off_ = false;
};
[[nodiscard]] std::optional<PowerReading> parse_power_line(std::string_view line, StampReader& stamps);

}  // namespace prony::layers
