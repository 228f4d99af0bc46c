#include "calibrate/calibration.hpp"

#include <algorithm>

#include "calibrate/json_fields.hpp"

namespace prony::calibrate {

namespace {
constexpr std::string_view calibration_format = "prony.calibration/1";
constexpr std::size_t most_steps = 1000;

bool flag_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

std::optional<ModelFigures> model_of(const Json& json) {
  const auto model = json.find("model");
  if (model == json.end() || !model->is_object()) return std::nullopt;
  const auto cpus = real_of(*model, "cpus"), idle_w = real_of(*model, "idle_w"), full_w = real_of(*model, "full_w");
  if (!cpus || !idle_w || !full_w) return std::nullopt;
  return ModelFigures{text_of(*model, "name"), *cpus, *idle_w, *full_w, flag_of(*model, "clocks")};
}
}  // namespace

std::vector<const Channel*> software_channels(const std::vector<Channel>& channels, std::string_view meter) {
  std::vector<const Channel*> candidates;
  for (const Channel& channel : channels)
    if (gives_energy(channel) && channel.scope == Scope::host && channel.name != meter && !channel.model &&
        channel.coverage_known && !meters_whole_machine(channel))
      candidates.push_back(&channel);
  const auto inside_another = [&](const Channel* channel) {
    return channel->part_of &&
           std::ranges::any_of(candidates, [&](const Channel* c) { return c->id == channel->part_of; });
  };
  std::vector<const Channel*> top;
  for (const Channel* channel : candidates)
    if (!inside_another(channel)) top.push_back(channel);
  if (top.empty())
    for (const Channel& channel : channels)
      if (gives_energy(channel) && channel.model && channel.name != meter) top.push_back(&channel);
  return top;
}

std::string to_text(const Calibration& c) {
  Json json{{"format", calibration_format}, {"meter", c.meter},     {"from", c.from},
            {"taken_utc", c.taken_utc},     {"version", c.version}, {"machine", c.machine}};
  if (c.whole_machine) json["whole_machine"] = true;
  if (c.model)
    json["model"] = {{"name", c.model->name},
                     {"cpus", c.model->cpus},
                     {"idle_w", c.model->idle_w},
                     {"full_w", c.model->full_w},
                     {"clocks", c.model->clocks}};
  json["steps"] = Json::array();
  for (const Step& step : c.steps)
    json["steps"].push_back({{"name", step.name},
                             {"x_w", step.x_w},
                             {"y_w", step.y_w},
                             {"x_doubt_w", step.x_doubt_w},
                             {"y_doubt_w", step.y_doubt_w}});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Calibration> calibration_from_text(std::string_view text) {
  const auto damaged = [] {
    return fail(ErrorCode::malformed, "this is no calibration", {}, "`prony calibrate` makes it again.");
  };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || text_of(json, "format") != calibration_format) return damaged();
  Calibration c{text_of(json, "meter"),
                {},
                text_of(json, "taken_utc"),
                text_of(json, "version"),
                text_of(json, "machine"),
                {},
                model_of(json),
                flag_of(json, "whole_machine")};
  const auto from = json.find("from"), steps = json.find("steps");
  if (from == json.end() || !from->is_array() || steps == json.end() || !steps->is_array() ||
      steps->size() > most_steps)
    return damaged();
  for (const Json& name : *from)
    if (name.is_string()) c.from.push_back(name.get<std::string>());
  for (const Json& one : *steps) {
    if (!one.is_object()) return damaged();
    const auto x = real_of(one, "x_w"), y = real_of(one, "y_w"), dx = real_of(one, "x_doubt_w"),
               dy = real_of(one, "y_doubt_w");
    if (!x || !y || !dx || !dy || *dx < 0 || *dy < 0) return damaged();
    c.steps.push_back({text_of(one, "name"), *x, *y, *dx, *dy});
  }
  if (c.from.empty() || c.meter.empty()) return damaged();
  return c;
}

}  // namespace prony::calibrate
