#include "calibrate/peaks.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "calibrate/json_fields.hpp"

namespace prony::calibrate {

namespace {

constexpr std::string_view peaks_format = "prony.peaks/1";
constexpr double largest_rate = 1e24, largest_count = 9e15;
constexpr double steady_share = 0.8;  // of the best, that the middle repetition reaches where nothing else runs

std::optional<Rate> rate_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_object()) return std::nullopt;
  const auto best = real_of(*found, "best_per_s"), median = real_of(*found, "median_per_s"),
             repetitions = real_of(*found, "repetitions");
  if (!best || !median || !repetitions) return std::nullopt;
  if (!(*median > 0 && *median <= *best && *best <= largest_rate)) return std::nullopt;
  if (!(*repetitions >= 1 && *repetitions <= largest_count)) return std::nullopt;
  return Rate{*best, *median, static_cast<std::int64_t>(*repetitions)};
}

Json rate_json(const Rate& rate) {
  return {{"best_per_s", rate.best}, {"median_per_s", rate.median}, {"repetitions", rate.repetitions}};
}

std::optional<std::int64_t> count_of(const Json& json, const char* name) {
  const auto value = real_of(json, name);
  if (!value || !(*value >= 1 && *value <= largest_count)) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

}  // namespace

bool MachinePeaks::unsteady() const noexcept {
  for (const Rate& rate : {flop, read, triad})
    if (rate.median < steady_share * rate.best) return true;
  return false;
}

std::string words_of(const MachinePeaks& peaks) {
  return "measured " + format_utc(peaks.taken_wall_ns).substr(0, 10) + ", " + std::to_string(peaks.threads) +
         (peaks.threads == 1 ? " thread" : " threads") + ", f32 " + printable(peaks.instructions, 20);
}

std::vector<Fact> facts_of(const MachinePeaks& peaks) {
  return {{"peak.flop_per_s", format_number(peaks.flop.best), "file"},
          {"peak.bytes_per_s", format_number(peaks.bytes_per_s()), "file"},
          {"peak.source", words_of(peaks), "file"}};
}

std::string to_text(const MachinePeaks& peaks) {
  Json json{{"format", peaks_format},
            {"taken_utc", format_utc(peaks.taken_wall_ns)},
            {"taken_wall_ns", peaks.taken_wall_ns},
            {"machine", peaks.machine},
            {"threads", peaks.threads},
            {"instructions", peaks.instructions},
            {"flop", rate_json(peaks.flop)},
            {"read_bytes", rate_json(peaks.read)},
            {"triad_bytes", rate_json(peaks.triad)},
            {"array_bytes", peaks.array_bytes}};
  if (peaks.cache_bytes) json["cache_bytes"] = *peaks.cache_bytes;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<MachinePeaks> peaks_from_text(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto damaged = [](const char* what) {
    return fail(ErrorCode::malformed, what, {}, "`prony inspect --measure-machine` measures them again.");
  };
  if (!json.is_object() || text_of(json, "format") != peaks_format)
    return damaged("this is no file of a machine's peaks");
  MachinePeaks peaks;
  const auto threads = count_of(json, "threads"), array = count_of(json, "array_bytes");
  const auto flop = rate_of(json, "flop"), read = rate_of(json, "read_bytes"), triad = rate_of(json, "triad_bytes");
  if (!threads || !array || !flop || !read || !triad) return damaged("the file of the machine's peaks is damaged");
  if (const auto taken = json.find("taken_wall_ns"); taken != json.end()) {
    if (!taken->is_number_unsigned() || *taken > (std::uint64_t{1} << 62))
      return damaged("the file of the machine's peaks is of no time");
    peaks.taken_wall_ns = taken->get<std::int64_t>();
  }
  peaks.machine = text_of(json, "machine");
  peaks.instructions = text_of(json, "instructions");
  peaks.threads = *threads;
  peaks.array_bytes = *array;
  peaks.cache_bytes = count_of(json, "cache_bytes");
  peaks.flop = *flop, peaks.read = *read, peaks.triad = *triad;
  return peaks;
}

}  // namespace prony::calibrate
