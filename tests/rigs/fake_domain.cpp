#include "fake_domain.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <map>
#include <utility>

#include "base/text.hpp"

namespace prony::rigs {

namespace {

constexpr std::pair<std::string_view, Fault> fault_words[] = {
    {"ok", Fault::ok},       {"eio", Fault::eio},       {"rubbish", Fault::rubbish},
    {"empty", Fault::empty}, {"vanish", Fault::vanish}, {"negative", Fault::negative},
    {"stale", Fault::stale}, {"denied", Fault::denied}, {"torn", Fault::torn}};

// The words of one domain; whoever takes a value removes it, so that what is left was not understood.
class Words {
 public:
  static Result<Words> parse(std::string_view text) {
    Words words;
    for (const auto word : split(text, ' ')) {
      if (word.empty()) continue;
      const auto equals = word.find('=');
      if (equals == std::string_view::npos) return fail(ErrorCode::usage, "is not KEY=VALUE", std::string(word));
      words.values_[std::string(word.substr(0, equals))] = word.substr(equals + 1);
    }
    return words;
  }
  std::string text(const std::string& key, std::string otherwise = {}) {
    const auto found = values_.extract(key);
    return found.empty() ? std::move(otherwise) : found.mapped();
  }
  double number(const std::string& key, double otherwise, double least = 0) {
    if (!values_.contains(key)) return otherwise;
    const auto value = parse_finite(values_[key]);
    if (!value || *value < least) return otherwise;  // it stays, and so is complained of
    values_.erase(key);
    return *value;
  }
  std::int64_t integer(const std::string& key, std::int64_t otherwise, std::int64_t least = 0) {
    if (!values_.contains(key)) return otherwise;
    const auto value = parse_i64(values_[key]);
    if (!value || *value < least) return otherwise;
    values_.erase(key);
    return *value;
  }
  bool has(const std::string& key) const { return values_.contains(key); }
  std::string left() const { return values_.empty() ? "" : values_.begin()->first + "=" + values_.begin()->second; }

 private:
  std::map<std::string, std::string> values_;
};

// curve=, base=, amp=, period=, levels= as a curve's text.
std::string curve_text(Words& words) {
  const auto shape = words.text("curve", "constant");
  const double base = words.number("base", 20), amp = words.number("amp", 0), period = words.number("period", 1);
  const auto levels = words.integer("levels", 4, 2);
  const auto n = [](double value) { return format_number(value); };
  if (shape == "constant") return "constant:" + n(base);
  if (shape == "sine") return "sine:" + n(base) + "," + n(amp) + "," + n(period);
  if (shape == "square") return "square:" + n(base - amp) + "," + n(base + amp) + "," + n(period);
  if (shape != "steps") return shape;       // which is no curve, and parse() says so
  std::string text = "steps:0=" + n(base);  // a staircase from base to base + amp in equal treads, then down at once
  for (std::int64_t i = 1; i < levels; ++i) {
    const auto share = static_cast<double>(i);
    text += "," + n(period * share / static_cast<double>(levels)) + "=" +
            n(base + amp * share / static_cast<double>(levels - 1));
  }
  return text + ",repeat=" + n(period);
}

void set_views(Words& words, Domain& d) {
  UpdateClock updates;
  updates.period = {words.integer("update_us", 1000, 1) * 1000};
  updates.phase = {words.integer("phase_us", 0) * 1000};
  updates.jitter = {words.integer("jitter_us", 0) * 1000};
  updates.seed = static_cast<std::uint64_t>(words.integer("seed", 1));
  d.counter.updates = d.power.updates = d.temperature.updates = updates;
  const Duration window = {words.integer("window_us", 0) * 1000};
  d.power.window = d.temperature.window = window;
}

void set_kind(Words& words, Domain& d) {
  const auto counter = [&](std::uint64_t wrap) {
    const double quantum_uj = words.number("quantum_uj", 1, 1e-6);
    d.counter.quantum_j = quantum_uj * 1e-6;
    d.counter.counts_per_quantum = quantum_uj;
    d.counter.wrap_quanta =
        static_cast<std::uint64_t>(words.integer("wrap_quanta", static_cast<std::int64_t>(wrap), 2));
    d.counter.start_quanta = static_cast<std::uint64_t>(words.number("start_uj", 0) / quantum_uj);
  };
  d.temperature.counts_per_w = 500;  // half a degree for every watt
  d.temperature.offset_counts = 40'000;
  switch (d.kind) {
    case Kind::zone:
      counter(1ULL << 32);
      d.max_w = words.number("max_w", 200);
      return;
    case Kind::hwmon:
      counter(0);
      d.power.quantum_counts = words.number("quantum_uw", 1, 1);
      d.average = words.text("average") == "yes";
      d.only = words.text("only");
      d.interval_ms = words.integer("interval_ms", 0);
      d.volts = words.number("volts", 12, 0.1);
      return;
    case Kind::thermal:
      d.temperature.counts_per_w = words.number("mc_per_w", 500);
      d.temperature.offset_counts = words.number("start_mc", 40'000, -273'150);
      d.temperature.quantum_counts = words.number("quantum_mc", 1, 1);
      return;
    case Kind::supply:
      d.power.quantum_counts = words.number("quantum_uw", 1, 1);
      d.volts = words.number("volts", 12, 0.1);
      d.full_j = words.number("full_j", 180'000, 1);
      d.status = words.text("status", "Discharging");
      d.only = words.text("only");
  }
}

Result<void> set_live(const std::string& path, Domain& d) {
  if (d.kind != Kind::zone) return fail(ErrorCode::usage, "only a zone may follow a program", "live=" + path);
  const auto file = Fd::open(path, O_RDONLY);
  if (!file) return Unexpected<Error>(file.error());
  LiveFeed now;
  if (read_from_start(*file, &now, sizeof now) != static_cast<long>(sizeof now))
    return fail(ErrorCode::usage, "is shorter than a feed", path);
  auto mapping = Mapping::map(*file, sizeof(LiveFeed), false);
  if (!mapping) return Unexpected<Error>(mapping.error());
  d.live = *std::move(mapping);
  d.curve = PowerCurve::constant(Watts(1));
  d.counter.updates = {};
  return {};
}

bool fits(const Domain& d) {
  if (d.kind == Kind::hwmon) return d.only.empty() || d.only == "power" || d.only == "energy" || d.only == "rail";
  return d.only.empty() || (d.kind == Kind::supply && d.only == "product");
}

}  // namespace

std::string_view to_string(Kind kind) {
  constexpr std::string_view names[] = {"zone", "hwmon", "thermal", "supply"};
  return names[static_cast<std::size_t>(kind)];
}

Result<std::unique_ptr<Domain>> make_domain(Kind kind, std::string_view text) {
  auto words = Words::parse(text);
  if (!words) return Unexpected<Error>(words.error());
  auto d = std::make_unique<Domain>();
  d->kind = kind;
  d->id = words->text("id");
  for (const auto* key : {"name", "chip", "type"})
    if (words->has(key)) d->name = words->text(key);
  d->label = words->text("label");
  const bool old_words = !words->has("power");
  auto curve = PowerCurve::parse(old_words ? curve_text(*words) : words->text("power"));
  if (!curve) return Unexpected<Error>(curve.error());
  d->curve = *std::move(curve);
  set_views(*words, *d);
  set_kind(*words, *d);
  if (words->has("live"))
    if (const auto set = set_live(words->text("live"), *d); !set) return Unexpected<Error>(set.error());
  if (!words->left().empty()) return fail(ErrorCode::usage, "no such setting, or not such a value", words->left());
  if (d->id.empty() || d->name.empty() || !fits(*d))
    return fail(ErrorCode::usage, "has no id, no name, or an only= that its kind does not know", std::string(text));
  return d;
}

std::string Domain::counter_uj(Duration t) const { return std::to_string(counter.raw(curve, seen(t))) + "\n"; }
std::string Domain::power_uw(Duration t) const { return std::to_string(power.raw(curve, seen(t))) + "\n"; }
std::string Domain::millivolts() const { return std::to_string(std::llround(volts * 1e3)) + "\n"; }
std::string Domain::temperature_mc(Duration t) const { return std::to_string(temperature.raw(curve, seen(t))) + "\n"; }

std::string Domain::current(Duration t, double per_ampere) const {
  const double watts = static_cast<double>(power.raw(curve, seen(t))) * 1e-6;
  return std::to_string(std::llround(watts / volts * per_ampere)) + "\n";
}

double Domain::left_j(Duration t) const {
  return std::max(0.0, full_j - curve.joules(power.updates.last(seen(t))).value().value());
}
std::string Domain::energy_left_uwh(Duration t) const {
  return std::to_string(static_cast<std::int64_t>(left_j(t) / 3600e-6)) + "\n";
}
std::string Domain::capacity_percent(Duration t) const {
  return std::to_string(static_cast<std::int64_t>(100 * left_j(t) / full_j)) + "\n";
}

bool Domain::switch_to(std::string_view word, Duration now) {
  now = clock(now);
  if (word == "reset") {  // the register begins at 0 with the last update
    const auto used = curve.joules(counter.updates.last(now)).quanta(counter.quantum_j);
    const auto wrap = static_cast<std::int64_t>(counter.wrap_quanta);
    counter.start_quanta = static_cast<std::uint64_t>(wrap > 0 ? (wrap - used % wrap) % wrap : -used);
    return true;
  }
  for (const auto& [text, meant] : fault_words)
    if (text == word) {
      frozen = now;
      reads = 0;
      fault = meant;
      return true;
    }
  return false;
}

void Domain::spoil(std::string& text, int& error) {
  switch (fault) {
    case Fault::eio: error = -EIO; return;
    case Fault::denied: error = -EACCES; return;
    case Fault::rubbish: text = "4\x01x\xff#!\n"; return;
    case Fault::empty: text.clear(); return;
    case Fault::negative: text = "-7\n"; return;
    case Fault::torn:
      if (reads++ % 2 == 0) text.resize(text.size() / 2);
      return;
    default: return;
  }
}

nlohmann::json Domain::description() const {
  const auto& updates = counter.updates;
  return {{"id", id},
          {"name", name},
          {"kind", to_string(kind)},
          {"power", live.valid() ? "live" : curve.text()},
          {"update_ns", updates.period.ns},
          {"phase_ns", updates.phase.ns},
          {"jitter_ns", updates.jitter.ns},
          {"window_ns", power.window.ns},
          {"quantum_uj", counter.counts_per_quantum},
          {"wrap_quanta", counter.wrap_quanta},
          {"start_quanta", counter.start_quanta}};
}

}  // namespace prony::rigs
