#include "sensors/plug_dialect.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr double wh = 3600, watt_minute = 60, kwh = 3.6e6;

PlugQuantity power_at(std::vector<std::string> paths, double unit, double step) {
  return {"power", Measure::power, std::move(paths), unit, 1e-3, step};
}
PlugQuantity energy_at(std::vector<std::string> paths, double unit, double scale, double step) {
  return {"energy", Measure::energy, std::move(paths), unit, scale, step};
}

struct Outlet {
  std::string key;  // "switch"
  std::uint64_t number = 0;
};

// Of several outlets the one that was asked for; of one, that one.
Result<Outlet> choose(const std::vector<Outlet>& outlets, std::optional<std::uint64_t> channel) {
  if (outlets.empty())
    return fail(ErrorCode::absent, "it measures no power", {}, "This device switches and has no meter in it.");
  if (!channel && outlets.size() == 1) return outlets.front();
  std::string all;
  for (const Outlet& outlet : outlets) {
    if (channel && outlet.number == *channel) return outlet;
    all += (all.empty() ? "" : ", ") + std::to_string(outlet.number);
  }
  if (channel) return fail(ErrorCode::usage, "it has no outlet " + std::to_string(*channel), {}, "It has: " + all);
  return fail(ErrorCode::usage, "it measures " + std::to_string(outlets.size()) + " outlets", {},
              "Say which one the machine is at:  #channel=" + std::to_string(outlets.front().number) + "  of " + all);
}

std::vector<std::string> each(const JsonNumbers& json, const std::string& list, const std::string& field) {
  std::vector<std::string> paths;
  for (const std::string& place : json.below(list))
    if (json.number(list + "." + place + "." + field)) paths.push_back(list + "." + place + "." + field);
  return paths;
}

// A number, or a list of numbers (phases).
std::vector<std::string> number_or_list(const JsonNumbers& json, const std::string& path,
                                        std::optional<std::uint64_t> channel) {
  if (json.number(path)) return {path};
  std::vector<std::string> paths;
  for (const std::string& place : json.below(path))
    if (json.number(path + "." + place) && (!channel || place == std::to_string(*channel)))
      paths.push_back(path + "." + place);
  return paths;
}

}  // namespace

std::optional<int> shelly_generation(const JsonNumbers& identity) {
  if (const auto generation = identity.number("gen"))
    return *generation >= 2 ? std::optional(2) : std::optional<int>(1);
  const bool first = !identity.text("type").empty() && !identity.text("mac").empty();
  return first ? std::optional(1) : std::nullopt;
}

Result<PlugPlan> shelly_gen2_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel) {
  struct Component {
    std::string_view key, call, power;
  };
  static constexpr Component components[] = {{"switch", "Switch", "apower"},
                                             {"pm1", "PM1", "apower"},
                                             {"cover", "Cover", "apower"},
                                             {"em", "EM", "total_act_power"},
                                             {"em1", "EM1", "act_power"}};
  std::vector<Outlet> outlets;
  for (const std::string& name : status.below("")) {
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) continue;
    const auto number = parse_u64(std::string_view(name).substr(colon + 1));
    for (const Component& component : components)
      if (number && std::string_view(name).substr(0, colon) == component.key &&
          status.number(name + "." + std::string(component.power)))
        outlets.push_back({std::string(component.key), *number});
  }
  const auto outlet = choose(outlets, channel);
  if (!outlet) return Unexpected<Error>(outlet.error());
  const Component& component = *std::ranges::find(components, std::string_view(outlet->key), &Component::key);
  const std::string id = ".GetStatus?id=" + std::to_string(outlet->number);
  PlugPlan plan{"Shelly, 2nd generation or later: " + outlet->key + " " + std::to_string(outlet->number), {}};
  plan.asks.push_back({"/rpc/" + std::string(component.call) + id, {power_at({std::string(component.power)}, 1, 0.1)}});
  const std::string own = outlet->key + ":" + std::to_string(outlet->number) + ".aenergy.total";
  if (status.number(own)) plan.asks.back().quantities.push_back(energy_at({"aenergy.total"}, wh, wh / 1000, wh / 1000));
  const std::string data = outlet->key + "data:" + std::to_string(outlet->number);
  const std::string total = outlet->key == "em" ? "total_act" : "total_act_energy";
  if (status.number(data + "." + total))
    plan.asks.push_back(
        {"/rpc/" + std::string(component.call) + "Data" + id, {energy_at({total}, wh, wh / 1000, wh / 100)}});
  return plan;
}

Result<PlugPlan> shelly_gen1_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel) {
  const bool phases = !each(status, "emeters", "power").empty();
  const std::string list = phases ? "emeters" : "meters";
  std::vector<Outlet> outlets;
  for (const std::string& place : status.below(list))
    if (const auto number = parse_u64(place); number && status.number(list + "." + place + ".power"))
      outlets.push_back({list, *number});
  // Watt-minutes where it measures outlets, watt-hours where it measures phases.
  const double unit = phases ? wh : watt_minute;
  const double scale = phases ? wh / 10 : watt_minute;
  if (phases && outlets.size() == 3 && !channel) {
    PlugPlan plan{"Shelly, 1st generation: 3 phases together", {}};
    plan.asks.push_back(
        {"/status",
         {power_at(each(status, list, "power"), 1, 0.01), energy_at(each(status, list, "total"), unit, scale, scale)}});
    return plan;
  }
  const auto outlet = choose(outlets, channel);
  if (!outlet) return Unexpected<Error>(outlet.error());
  const std::string number = std::to_string(outlet->number);
  PlugPlan plan{"Shelly, 1st generation: meter " + number, {}};
  plan.asks.push_back({(phases ? "/emeter/" : "/meter/") + number, {power_at({"power"}, 1, 0.01)}, "is_valid"});
  if (status.number(list + "." + number + ".total"))
    plan.asks.back().quantities.push_back(energy_at({"total"}, unit, scale, scale));
  return plan;
}

Result<PlugPlan> tasmota_plan(const JsonNumbers& status, std::optional<std::uint64_t> channel) {
  if (const std::string warning = status.text("WARNING"); !warning.empty())
    return fail(ErrorCode::denied, "it wants a password", {},
                "Put user (admin) and password into a file, as in a .netrc:  #login=FILE");
  std::string place;
  for (const char* known : {"StatusSNS.ENERGY", "StatusPWR"})  // the latter before version 5.11
    if (place.empty() && !status.below(known).empty()) place = known;
  const auto power = number_or_list(status, place + ".Power", channel);
  if (place.empty() || power.empty())
    return fail(ErrorCode::absent, "it measures no power", {}, "Its answer to Status 8 has no ENERGY with a Power.");
  PlugPlan plan{"Tasmota", {}};
  plan.asks.push_back({"/cm?cmnd=Status%208", {power_at(power, 1, 1)}});
  if (const auto total = number_or_list(status, place + ".Total", channel); !total.empty())
    plan.asks.back().quantities.push_back(energy_at(total, kwh, kwh * 1e-5, kwh * 1e-3));
  return plan;
}

Result<PlugPlan> kasa_plan(const JsonNumbers& emeter) {
  const std::string at = "emeter.get_realtime.";
  if (const auto code = emeter.number(at + "err_code"); code && *code != 0)
    return fail(ErrorCode::absent, "it measures no power: error " + format_number(*code), {});
  PlugPlan plan{"Kasa", {}};
  PlugAsk ask;
  if (emeter.number(at + "power_mw")) {
    ask.quantities.push_back(power_at({at + "power_mw"}, 1e-3, 1e-3));
    if (emeter.number(at + "total_wh")) ask.quantities.push_back(energy_at({at + "total_wh"}, wh, wh, wh));
  } else if (emeter.number(at + "power")) {
    ask.quantities.push_back(power_at({at + "power"}, 1, 1));
    if (emeter.number(at + "total")) ask.quantities.push_back(energy_at({at + "total"}, kwh, kwh * 1e-6, kwh * 1e-3));
  } else {
    return fail(ErrorCode::absent, "it measures no power", {}, "Its answer has no emeter with a power.");
  }
  plan.asks.push_back(std::move(ask));
  return plan;
}

Result<PlugPlan> tapo_plan(const JsonNumbers& answer) {
  if (const auto code = answer.number("error_code"); code && *code != 0)
    return fail(ErrorCode::absent, "it measures no power: error " + format_number(*code), {});
  for (const char* path : {"result.power_mw", "result.current_power"})
    if (answer.number(path)) return PlugPlan{"Tapo", {{"", {power_at({path}, 1e-3, 1e-3)}}}};
  return fail(ErrorCode::absent, "it measures no power", {}, "Its answer has neither power_mw nor current_power.");
}

double step_of(const PlugQuantity& quantity, const JsonNumbers& answer) {
  double step = quantity.step;
  for (const std::string& path : quantity.paths) {
    const JsonScalar* scalar = answer.find(path);
    if (scalar == nullptr || scalar->decimals <= 0) continue;
    step = std::min(step, quantity.unit * std::pow(10.0, -scalar->decimals));
  }
  return std::max(step, quantity.scale);
}

std::optional<std::int64_t> counts_of(const PlugQuantity& quantity, const JsonNumbers& answer) {
  double sum = 0;
  for (const std::string& path : quantity.paths) {
    const auto number = answer.number(path);
    if (!number) return std::nullopt;
    sum += *number;
  }
  const double counts = std::round(sum * quantity.unit / quantity.scale);
  constexpr double most = 9e15;  // whole numbers of a double end there
  if (quantity.paths.empty() || !(std::abs(counts) < most)) return std::nullopt;
  return static_cast<std::int64_t>(counts);
}

std::string kasa_wrapped(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string wire;
  for (const unsigned shift : {24u, 16u, 8u, 0u}) wire += static_cast<char>((size >> shift) & 0xffu);
  unsigned char key = 171;
  for (const char c : text) {
    key = static_cast<unsigned char>(static_cast<unsigned char>(c) ^ key);
    wire += static_cast<char>(key);
  }
  return wire;
}

std::string kasa_unwrapped(std::string_view wire) {
  if (wire.size() < 4) return {};
  std::string text;
  unsigned char key = 171;
  for (const char c : wire.substr(4)) {
    text += static_cast<char>(static_cast<unsigned char>(c) ^ key);
    key = static_cast<unsigned char>(c);
  }
  return text;
}

std::size_t kasa_length(std::string_view beginning) noexcept {
  if (beginning.size() < 4) return 0;
  std::uint32_t size = 0;
  for (const char c : beginning.substr(0, 4)) size = (size << 8) | static_cast<unsigned char>(c);
  return std::size_t{size} + 4;
}

}  // namespace prony
