// parts: sensors machine model base
// Any text as a meter's answer, its address or a file of logins: it is refused, or what it says is a number that fits.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sensors/line_map.hpp"
#include "sensors/plug_dialect.hpp"

namespace {

using namespace prony;

void require(bool good) {
  if (!good) std::abort();
}

void try_plan(const Result<PlugPlan>& plan, const JsonNumbers& answer) {
  if (!plan) return;
  require(!plan->asks.empty());
  for (const PlugAsk& ask : plan->asks)
    for (const PlugQuantity& quantity : ask.quantities) {
      require(!quantity.paths.empty() && quantity.scale > 0);
      const double step = step_of(quantity, answer);
      require(std::isfinite(step) && step > 0);
      if (const auto counts = counts_of(quantity, answer)) require(*counts < 10'000'000'000'000'000);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto json = JsonNumbers::parse(text)) {
    for (const std::string& name : json->below("")) (void)json->below(name);
    (void)shelly_generation(*json);
    for (const std::optional<std::uint64_t> channel :
         {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(1)}) {
      try_plan(shelly_gen1_plan(*json, channel), *json);
      try_plan(shelly_gen2_plan(*json, channel), *json);
      try_plan(tasmota_plan(*json, channel), *json);
    }
    try_plan(kasa_plan(*json), *json);
  }
  if (const auto meter = parse_meter(text)) {
    require(!meter->name.empty() && !meter->address.empty());
    require(parse_meter(meter->text).has_value());
  }
  (void)login_of(text, "h");
  for (const char* options : {"map=omegawatt", "time=1,volts=2,amps=3", "watts=p.0.w", "kwh=1,separator=space"}) {
    const auto map = line_map_of(*parse_meter("file:/x#" + std::string(options)));
    require(map.has_value());
    LineParser parser(*map);
    const auto sound = [](const LineReading& reading) {
      require(!reading.watts || std::abs(*reading.watts) <= 1e12);
      require(!reading.joules || std::abs(*reading.joules) <= 1e15);
    };
    parser.feed(text.substr(0, size / 2), sound);
    parser.feed(text.substr(size / 2), sound);
    require(parser.passed_over() <= parser.lines());
  }
  require(kasa_unwrapped(kasa_wrapped(text)) == text);
  (void)kasa_unwrapped(text);
  (void)kasa_length(text);
  return 0;
}
