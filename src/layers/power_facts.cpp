#include "layers/power_facts.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::layers {

namespace {

constexpr std::size_t kept_gaps = 200'000;

std::optional<double> quartile(std::vector<float> values, double share) {
  if (values.size() < 4) return std::nullopt;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return static_cast<double>(*place);
}

}  // namespace

void PowerFacts::add(const PowerReading& reading) {
  if (readings_++ == 0) {
    first_ = last_ = reading;
    volts_ = reading.millivolt;
    return;
  }
  const double ms = static_cast<double>(reading.us - last_.us) * 1e-3;
  if (ms > 0) {
    area_ += (reading.microwatt() + last_.microwatt()) / 2 * ms;
    if (asked_ms_.size() < kept_gaps) asked_ms_.push_back(static_cast<float>(ms));
  }
  const double step = std::fabs(reading.milliampere - last_.milliampere);
  if (step > 0 && (least_step_ma_ <= 0 || step < least_step_ma_)) least_step_ma_ = step;
  if (reading.microwatt() != last_.microwatt()) {
    if (changed_ && changes_ms_.size() < kept_gaps)
      changes_ms_.push_back(static_cast<float>(static_cast<double>(reading.us - changed_us_) * 1e-3));
    changed_ = true;
    changed_us_ = reading.us;
  }
  volts_ += reading.millivolt;
  last_ = reading;
}

double PowerFacts::seconds() const { return static_cast<double>(last_.us - first_.us) * 1e-6; }

std::optional<std::int64_t> PowerFacts::first_us() const {
  if (readings_ == 0) return std::nullopt;
  return first_.us;
}
std::optional<std::int64_t> PowerFacts::last_us() const {
  if (readings_ == 0) return std::nullopt;
  return last_.us;
}

std::optional<double> PowerFacts::mean_w() const {
  if (seconds() <= 0) return std::nullopt;
  return area_ * 1e-9 / seconds();  // µW·ms
}

std::optional<double> PowerFacts::asked_every_ms() const { return quartile(asked_ms_, 0.5); }
std::optional<double> PowerFacts::changed_every_ms() const { return quartile(changes_ms_, 0.25); }
std::optional<double> PowerFacts::step_w() const {
  if (least_step_ma_ <= 0) return std::nullopt;
  return least_step_ma_ * volts_ / static_cast<double>(readings_) * 1e-6;
}

void PowerFacts::tell(Recording& recording) const {
  recording.facts.push_back({"readings", static_cast<double>(readings_), ""});
  if (readings_ > 1) recording.facts.push_back({"from the first to the last", seconds(), "s"});
  const auto add_fact = [&](const char* name, std::optional<double> value, const char* unit) {
    if (value) recording.facts.push_back({name, *value, unit});
  };
  add_fact("mean power", mean_w(), "W");
  add_fact("asked every", asked_every_ms(), "ms");
  add_fact("value changed every", changed_every_ms(), "ms");
  add_fact("smallest step", step_w(), "W");
  const auto asked = asked_every_ms(), changed = changed_every_ms();
  if (asked && changed && *changed > 2 * *asked)
    recording.notes.push_back("it was asked every " + format_fixed(*asked, 2) + " ms, but its value changed every " +
                              format_fixed(*changed, 2) + " ms: what lies between are repeats, not readings");
}

Result<Recording> read_power_log(ByteSource& source) {
  PowerLog log(source);
  PowerFacts facts;
  while (true) {
    const auto reading = log.next();
    if (!reading) return Unexpected<Error>(reading.error());
    if (!*reading) break;
    facts.add(**reading);
  }
  if (log.readings() == 0)
    return fail(ErrorCode::malformed, "no reading is in the log", {},
                "A line reads 20241121-05:20:04.261448,5000.0,1096.0.");
  Recording recording;
  recording.kind = "EdgeProfiler power log";
  facts.tell(recording);
  recording.notes.push_back(
      "columns are local time, millivolts and milliamperes (EdgeProfiler calls them mC and muW in places): their "
      "product is microwatts");
  recording.notes.push_back("the log covers loading, building and warming up too, without marks");
  if (log.bad_lines() > 0)
    recording.notes.push_back(std::to_string(log.bad_lines()) + " lines are no reading (the first is line " +
                              std::to_string(log.first_bad_line()) + "): left out" +
                              (log.cut_off() ? "; the last one is cut off" : ""));
  if (log.backwards() > 0)
    recording.notes.push_back(std::to_string(log.backwards()) +
                              " stamps are before the one above them: the clock was set");
  return recording;
}

}  // namespace prony::layers
