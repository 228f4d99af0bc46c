#include "fake_tree.hpp"

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace prony::rigs {

namespace {
constexpr const char* fault_help =
    "# write \"NAME FAULT\" where NAME is a domain's name or * for all of them, FAULT one of:\n"
    "# ok eio rubbish empty negative vanish reset stale denied torn\n";
constexpr std::pair<std::string_view, Kind> kind_options[] = {
    {"--zone", Kind::zone}, {"--hwmon", Kind::hwmon}, {"--thermal", Kind::thermal}, {"--supply", Kind::supply}};
}  // namespace

void Tree::add(const std::string& path, Node node) {
  for (auto slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/', slash - 1)) {
    const auto parent = slash == 0 ? std::string("/") : path.substr(0, slash);
    const auto end = path.find('/', slash + 1);
    const auto name = path.substr(slash + 1, end == std::string::npos ? end : end - slash - 1);
    auto& entries = nodes_[parent].entries;
    if (std::find(entries.begin(), entries.end(), name) == entries.end()) entries.push_back(name);
    if (slash == 0) break;
  }
  nodes_[path] = std::move(node);
}
void Tree::add_text(const std::string& path, const std::string& text) {
  add(path, {Node::Shape::file, {}, {}, [line = text + "\n"](Duration) { return line; }, nullptr});
}
void Tree::add_value(const std::string& path, Domain* domain, std::function<std::string(Duration)> text) {
  add(path, {Node::Shape::file, {}, {}, std::move(text), domain});
}
void Tree::add_link(const std::string& path, std::string target) {
  add(path, {Node::Shape::link, {}, std::move(target), {}, nullptr});
}

void Tree::add_zone(Domain* d) {
  // As the kernel lays it out: nested below devices/virtual/powercap, and flat links in class/powercap.
  std::string folder = "devices/virtual/powercap/intel-rapl";
  for (auto colon = d->id.find(':'); colon != std::string::npos; colon = d->id.find(':', colon + 1))
    folder += "/" + d->id.substr(0, d->id.find(':', colon + 1));
  add_link("/class/powercap/" + d->id, "../../" + folder);
  folder = "/" + folder;
  add_text(folder + "/name", d->name);
  add_text(folder + "/enabled", "1");
  add_value(folder + "/energy_uj", d, [d](Duration t) { return d->counter_uj(t); });
  add_text(folder + "/max_energy_range_uj", std::to_string(d->counter.largest_raw()));
  const auto limit = std::to_string(static_cast<std::int64_t>(d->max_w * 1e6));
  add_text(folder + "/constraint_0_name", "long_term");
  add_text(folder + "/constraint_0_max_power_uw", limit);
  add_text(folder + "/constraint_0_power_limit_uw", limit);
}

void Tree::add_hwmon(Domain* d) {
  const std::string folder = "/devices/virtual/hwmon/" + d->id;
  add_link("/class/hwmon/" + d->id, "../.." + folder);
  add_text(folder + "/name", d->name);
  if (d->interval_ms > 0) add_text(folder + "/update_interval", std::to_string(d->interval_ms));
  const auto label = [&](const std::string& what) {
    if (!d->label.empty()) add_text(folder + "/" + what + "_label", d->label);
  };
  const bool rail = d->only == "rail";
  if (rail) {
    label("in1"), label("curr1");
    add_value(folder + "/in1_input", d, [d](Duration) { return d->millivolts(); });
    add_value(folder + "/curr1_input", d, [d](Duration t) { return d->current(t, 1e3); });
  }
  if (!rail && d->only != "energy") {
    label("power1");
    add_value(folder + (d->average ? "/power1_average" : "/power1_input"), d,
              [d](Duration t) { return d->power_uw(t); });
    if (d->average) add_text(folder + "/power1_average_interval", std::to_string(d->power.window.ns / 1'000'000));
  }
  if (!rail && d->only != "power") {
    label("energy1");
    add_value(folder + "/energy1_input", d, [d](Duration t) { return d->counter_uj(t); });
  }
  add_value(folder + "/temp1_input", d, [d](Duration t) { return d->temperature_mc(t); });
  add_value(folder + "/fan1_input", d, [](Duration) { return std::string("1200\n"); });
}

void Tree::add_thermal(Domain* d) {
  const std::string folder = "/devices/virtual/thermal/" + d->id;
  add_link("/class/thermal/" + d->id, "../.." + folder);
  add_text(folder + "/type", d->name);
  add_text(folder + "/mode", "enabled");
  add_value(folder + "/temp", d, [d](Duration t) { return d->temperature_mc(t); });
}

void Tree::add_supply(Domain* d) {
  const std::string folder = "/devices/virtual/power_supply/" + d->id;
  add_link("/class/power_supply/" + d->id, "../.." + folder);
  add_text(folder + "/type", d->name);
  if (d->name != "Battery") return add_value(folder + "/online", d, [](Duration) { return std::string("1\n"); });
  add_text(folder + "/present", "1");
  add_value(folder + "/status", d, [d](Duration) { return d->status + "\n"; });
  const auto uv = std::to_string(static_cast<std::int64_t>(d->volts * 1e6));
  add_value(folder + "/voltage_now", d, [uv](Duration) { return uv + "\n"; });
  add_value(folder + "/current_now", d, [d](Duration t) { return d->current(t, 1e6); });
  if (d->only != "product") add_value(folder + "/power_now", d, [d](Duration t) { return d->power_uw(t); });
  add_text(folder + "/energy_full", std::to_string(static_cast<std::int64_t>(d->full_j / 3600e-6)));
  add_value(folder + "/energy_now", d, [d](Duration t) { return d->energy_left_uwh(t); });
  add_value(folder + "/capacity", d, [d](Duration t) { return d->capacity_percent(t); });
}

void Tree::lay_out(Domain* d) {
  switch (d->kind) {
    case Kind::zone: add_zone(d); break;
    case Kind::hwmon: add_hwmon(d); break;
    case Kind::thermal: add_thermal(d); break;
    case Kind::supply: add_supply(d); break;
  }
  add_text("/truth/" + d->name + "/power", d->live.valid() ? "live" : d->curve.text());
}

Result<void> Tree::build(const std::vector<std::string>& options) {
  static const std::vector<std::string> usual = {
      "--zone",  "id=intel-rapl:0 name=package-0 power=sine:40,20,0.7 quantum_uj=61",
      "--zone",  "id=intel-rapl:0:0 name=core power=sine:25,15,0.7 quantum_uj=61",
      "--zone",  "id=intel-rapl:0:1 name=dram power=square:3,7,0.5 quantum_uj=61",
      "--hwmon", "id=hwmon0 chip=fakeboard label=board curve=steps base=60 amp=30 period=1 levels=4"};
  const auto& wanted = options.empty() ? usual : options;
  add_text("/class/powercap/intel-rapl/enabled", "1");
  std::int64_t longest_ns = 0;
  for (std::size_t i = 0; i < wanted.size(); i += 2) {
    const auto kind = std::ranges::find(kind_options, wanted[i], &std::pair<std::string_view, Kind>::first);
    if (kind == std::end(kind_options) || i + 1 >= wanted.size())
      return fail(ErrorCode::usage, "no such option, or nothing follows it", wanted[i]);
    auto domain = make_domain(kind->second, wanted[i + 1]);
    if (!domain) return Unexpected<Error>(domain.error());
    lay_out(domain->get());
    const auto& updates = (*domain)->counter.updates;
    longest_ns = std::max(longest_ns, updates.period.ns + updates.jitter.ns);
    domains_.push_back(std::move(*domain));
  }
  zero_ns_ -= longest_ns;  // the update that is shown at first lies after the curves' 0, so no counter begins below it
  add_value("/truth.json", nullptr, [this](Duration) { return description(); });
  add_value("/control", nullptr, [](Duration) { return std::string(fault_help); });
  return {};
}

std::string Tree::description() const {
  nlohmann::json domains = nlohmann::json::array();
  for (const auto& d : domains_) domains.push_back(d->description());
  return nlohmann::json{{"clock", "CLOCK_MONOTONIC"}, {"t0_ns", zero_ns_}, {"domains", domains}}.dump(1) + "\n";
}

int Tree::command(std::string_view line, std::int64_t now_ns) {
  line = trim(line);
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return EINVAL;
  const auto name = line.substr(0, space);
  bool any = false;
  for (auto& d : domains_) {
    if (name != "*" && d->name != name) continue;
    if (!d->switch_to(line.substr(space + 1), since_zero(now_ns))) return EINVAL;
    any = true;
    if (name != "*") break;
  }
  return any ? 0 : ENOENT;
}

const Node* Tree::find(std::string_view path) const {
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) return nullptr;
  const auto* domain = found->second.domain;
  return domain != nullptr && domain->fault == Fault::vanish ? nullptr : &found->second;
}

std::optional<std::string> Tree::answer(std::string_view path) const {
  const auto parts = split(path, '/');  // "", "truth", NAME, BEGIN-END
  if (parts.size() != 4 || parts[1] != "truth") return std::nullopt;
  const auto found = std::ranges::find_if(domains_, [&](const auto& d) { return d->name == parts[2]; });
  const auto dash = parts[3].find('-');
  if (found == domains_.end() || dash == std::string_view::npos) return std::nullopt;
  if ((*found)->live.valid()) return std::nullopt;  // the program that feeds it knows
  const auto begin = parse_i64(parts[3].substr(0, dash)), end = parse_i64(parts[3].substr(dash + 1));
  if (!begin || !end) return std::nullopt;
  return format_number((*found)->curve.joules(since_zero(*begin), since_zero(*end)).value()) + "\n";
}

}  // namespace prony::rigs
