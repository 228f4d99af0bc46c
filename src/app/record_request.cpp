#include "app/record_request.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "machine/meter.hpp"
#include "machine/room.hpp"

namespace prony::app {

Result<RecordTimes> record_times(const RecordOptions& options) {
  RecordTimes times;
  auto interval = duration_setting(options.interval, "interval", milliseconds(1), milliseconds(60'000));
  if (!interval) return Unexpected<Error>(interval.error());
  times.interval = *interval;
  if (!options.baseline.empty() && options.baseline != "stored") {
    auto length = duration_setting(options.baseline, "baseline", milliseconds(0), milliseconds(3'600'000));
    if (!length) return Unexpected<Error>(length.error());
    times.baseline = *length;
  }
  if (!options.targets.length.empty()) {
    auto length =
        duration_setting(options.targets.length, "for", milliseconds(100), milliseconds(30LL * 24 * 3'600'000));
    if (!length) return Unexpected<Error>(length.error());
    times.length = *length;
  }
  return times;
}

Result<void> check_record_options(const RecordOptions& options) {
  if (const auto times = record_times(options); !times) return Unexpected<Error>(times.error());
  if (const auto factors = factors_of(options.energy); !factors) return Unexpected<Error>(factors.error());
  if (!options.max_temp.empty())
    if (const auto limit = temperature_setting(options.max_temp, "max-temp"); !limit)
      return Unexpected<Error>(limit.error());
  if (!options.budget.empty())
    if (const auto share = share_setting(options.budget, "budget"); !share) return Unexpected<Error>(share.error());
  if (const auto meters = parse_meters(options.meters); !meters) return Unexpected<Error>(meters.error());
  if (!options.machine.simulate.empty())
    if (const auto room = parse_room_choice(options.machine.simulate); !room) return Unexpected<Error>(room.error());
  Manifest tags;
  return add_tags(options.tags, tags);
}

Result<ControlOptions> control_options(const RecordOptions& options, const SensorSet& sensors) {
  ControlOptions control;
  if (!options.max_temp.empty()) {
    const auto limit = temperature_setting(options.max_temp, "max-temp");
    if (!limit) return Unexpected<Error>(limit.error());
    control.max_celsius = *limit;
    const bool seen = std::ranges::any_of(sensors.sensors, [](const auto& sensor) {
      return std::ranges::any_of(sensor->channels(),
                                 [](const Channel& c) { return c.measure == Measure::temperature; });
    });
    if (!seen)
      return fail(ErrorCode::absent, "no temperature can be read here, so none can be kept to", "--max-temp",
                  "Leave it out; `prony sensors` says what thermal and hwmon lack here.");
  }
  if (!options.budget.empty()) {
    const auto share = share_setting(options.budget, "budget");
    if (!share) return Unexpected<Error>(share.error());
    control.budget = *share;
  }
  return control;
}

Result<void> add_tags(const std::vector<std::string>& tags, Manifest& manifest) {
  for (const std::string& tag : tags) {
    const std::size_t equals = tag.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail(ErrorCode::usage, "'" + printable(tag, 60) + "' is not k=v", "--tag",
                  "Write for example: --tag board=pi5");
    manifest.set("tag." + tag.substr(0, equals), tag.substr(equals + 1), "flag");
  }
  return {};
}

}  // namespace prony::app
