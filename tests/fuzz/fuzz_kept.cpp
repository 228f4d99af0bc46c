// parts: calibrate
// Any text as a kept baseline, a kept calibration, kept peaks, a meter's reading or a factor: it is refused, or what it
// says makes sense and is the same again when it is written and read once more.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "calibrate/baseline.hpp"
#include "calibrate/fitted_model.hpp"
#include "calibrate/meter.hpp"
#include "calibrate/peaks.hpp"
#include "model/factors.hpp"

namespace {

using namespace prony;
using namespace prony::calibrate;

void require(bool good) {
  if (!good) std::abort();
}
bool ordered(const Estimate& e) { return e.low <= e.value && e.value <= e.high; }

// The channel that a kept calibration says it was made for.
Channel modelled_channel(const Calibration& kept) {
  Channel channel;
  channel.name = kept.from.front();
  channel.origin = Origin::modelled;
  channel.model = PowerModel{};
  if (!kept.model) return channel;
  channel.model->cpus = kept.model->cpus;
  channel.model->idle = Watts(kept.model->idle_w), channel.model->full = Watts(kept.model->full_w);
  if (kept.model->clocks) channel.model->reference_clock_hz = 1e9;
  return channel;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto kept = baseline_from_text(text)) {
    for (const KeptIdle& idle : kept->channels) require(ordered(idle.watts));
    const auto again = baseline_from_text(to_text(*kept));
    require(again && again->channels.size() == kept->channels.size() && again->taken_wall_ns == kept->taken_wall_ns);
    (void)why_expired(*kept, *again);
    Manifest manifest;
    manifest.facts = facts_of(*kept, kept->taken_wall_ns);
    (void)known_idle(manifest);
  }
  if (const auto kept = calibration_from_text(text)) {
    require(calibration_from_text(to_text(*kept)).has_value());
    if (const auto line = fit(kept->steps)) (void)apply(*line, {10, 9, 11, EstimateKind::bound}, 2);
    Channel channel = modelled_channel(*kept);
    if (const auto done = calibrate_channel(*kept, {}, channel); done && *done) {
      const PowerModel& model = *channel.model;
      require(channel.origin == Origin::derived && std::isfinite(model.idle.value()));
      require(model.idle_low.value() <= model.idle.value() && model.idle.value() <= model.idle_high.value());
    }
  }
  if (const auto kept = peaks_from_text(text)) {
    require(kept->flop.median <= kept->flop.best && kept->bytes_per_s() > 0 && std::isfinite(kept->bytes_per_s()));
    const auto again = peaks_from_text(to_text(*kept));
    require(again && again->threads == kept->threads && again->taken_wall_ns == kept->taken_wall_ns);
    Manifest manifest;
    manifest.facts = facts_of(*kept);
    require(manifest.get("peak.flop_per_s").has_value());
  }
  if (const auto reading = parse_meter_reading(text)) require(ordered(joules_of(*reading)));
  if (const auto carbon = parse_carbon(text)) require(std::isfinite(carbon->value) && carbon->value >= 0);
  if (const auto pue = parse_pue(text)) require(pue->value >= 1);
  if (const auto tariff = parse_tariff(text)) require(tariff->currency.size() == 3);
  return 0;
}
