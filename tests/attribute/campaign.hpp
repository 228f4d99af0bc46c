// Random recordings of counters whose truth is known: a power curve in closed form, a counter that shows it, polls that
// come late, take long or fail, and windows. Everything follows from the seed, on every platform. Units: in the names;
// times in ns.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "machine/power_curve.hpp"
#include "machine/sensor_view.hpp"

namespace prony::campaign {

// The standard's distributions differ from library to library; these do not.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  double log_uniform(double low, double high);                 // each decade as likely as any other
  std::int64_t integer(std::int64_t low, std::int64_t high) {  // both included
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double p) { return uniform(0, 1) < p; }

 private:
  std::mt19937_64 engine_;
};

// What is drawn. `dense` are the counters of which more is promised: updates on a steady grid, polled at least ten
// times faster than they come, by reads that do not take long beside that.
struct Stream {
  std::uint64_t seed = 0;
  bool dense = false;
  std::string curve_text;
  PowerCurve curve = PowerCurve::constant(Watts(0));
  CounterView view;
  Channel channel;
  std::int64_t poll_ns = 0, read_ns = 0, before_ns = 0, length_ns = 0;
  double poll_jitter = 0;  // of poll_ns
  double gap_chance = 0;   // that a run of failed reads begins at a poll
  std::vector<Interval> windows;

  [[nodiscard]] double update_j() const;   // the most that one update can bring
  [[nodiscard]] std::string text() const;  // for a failure's message
};

// A window as measured, beside the truth.
struct Outcome {
  Interval window;
  double truth_j = 0;
  const Stream* stream = nullptr;
  SpanEnergy energy;
  double plain_j = 0;           // difference of the readings nearest before the edges, wraps undone
  double allowed_beside_j = 0;  // the same over those updates and the ones to either side of them
  double allowed_j = 0;         // 3 × (2 q + τ · (Pmax − Pmin) over the two updates that the edges lie in)
};

// The curve's time at an instant. Its 0 lies long before the recording, as with a machine that has been up for a while.
[[nodiscard]] Duration curve_time(Instant at);
[[nodiscard]] Stream draw(std::uint64_t seed, bool dense);
// A counter of steady power that renews itself every 50 ms, a little early or late, and is polled ten times as fast.
[[nodiscard]] Stream jittering(std::uint64_t seed, std::int64_t length_ns);
// The stream in the Run after a first one: its channel is filled from the passport that was learned then.
[[nodiscard]] Stream with_passport(Stream stream, const Stream& first_run);
// Polls the counter, attributes, and gives every window that it was asked for. `stream` must outlive the outcomes.
[[nodiscard]] std::vector<Outcome> measure(const Stream& stream);

}  // namespace prony::campaign
