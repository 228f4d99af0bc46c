#include "sinks/series_json.hpp"

#include "sinks/utf8.hpp"

namespace prony {

nlohmann::ordered_json described(const Series& series) {
  const bool joules = series.kind == SeriesKind::gross || series.kind == SeriesKind::charged;
  nlohmann::ordered_json said;
  said["name"] = valid_text(series.name);
  said["unit"] = joules ? "J" : series.kind == SeriesKind::power ? "W" : unit_of(series.channel.measure);
  said["kind"] = series.counter() ? "counter" : "gauge";
  said["origin"] = to_string(series.channel.origin);
  said["device"] = valid_text(series.channel.device);
  said["domain"] = valid_text(series.channel.domain);
  if (!series.target.empty()) said["target"] = valid_text(series.target);
  return said;
}

}  // namespace prony
