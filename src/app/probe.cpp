// `prony probe [NAME|CHANNEL] [--for 10s]`: watches sensors to learn what they are like, shows it and keeps it.
#include <signal.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/common.hpp"
#include "app/kept.hpp"
#include "app/machine_choice.hpp"
#include "app/passports.hpp"
#include "app/signals.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"
#include "passport/learn.hpp"
#include "passport/store.hpp"
#include "passport/use.hpp"
#include "passport/watch.hpp"
#include "reports/passport_rows.hpp"
#include "reports/passport_text.hpp"
#include "sensors/sensor.hpp"

namespace prony::app {

namespace {

constexpr Duration shortest_load_watch = milliseconds(4000);

struct ProbeOptions {
  std::string name;
  std::string length;
  bool json = false;
  bool every_channel = false;
  MachineChoice machine;
};

struct ChosenSensors {
  std::vector<std::shared_ptr<Sensor>> sensors;
  std::vector<Unavailable> unavailable, notes;
  std::string channel;  // only this one was asked for; "": all
};

// How long is sensible when nobody says: a fast sensor renews within milliseconds, a slow one within a second or so.
Duration default_length(LaneKind lane) {
  switch (lane) {
    case LaneKind::fast: return milliseconds(200);
    case LaneKind::slow: return milliseconds(5000);
    case LaneKind::blocking: return milliseconds(10'000);
  }
  return milliseconds(200);
}

Result<ChosenSensors> choose_sensors(Machine& machine, const std::string& name, const SensorOptions& options) {
  ChosenSensors chosen;
  std::vector<std::string> known;
  const bool is_row = std::any_of(sensor_catalogue().begin(), sensor_catalogue().end(),
                                  [&](const SensorRow& row) { return row.name == name; });
  for (const SensorRow& row : sensor_catalogue()) {
    known.emplace_back(row.name);
    if (is_row && row.name != name) continue;
    if (name.empty() && row.stand_in) continue;
    Probe probe = row.make(machine, options);
    std::vector<std::shared_ptr<Sensor>> made;
    if (probe.sensor) made.push_back(std::move(probe.sensor));
    for (auto& sensor : probe.more) made.push_back(std::move(sensor));
    const bool whole_row = is_row || name.empty();
    if (whole_row)
      chosen.unavailable.insert(chosen.unavailable.end(), probe.unavailable.begin(), probe.unavailable.end());
    if (whole_row) chosen.notes.insert(chosen.notes.end(), probe.notes.begin(), probe.notes.end());
    for (auto& sensor : made) {
      const auto channels = sensor->channels();
      for (const Channel& channel : channels) known.push_back(channel.name);
      const bool asked =
          std::any_of(channels.begin(), channels.end(), [&](const Channel& channel) { return channel.name == name; });
      if (asked) {
        chosen.channel = name;
        chosen.notes = probe.notes;
      }
      if (whole_row || asked) chosen.sensors.push_back(std::move(sensor));
    }
    if (!chosen.channel.empty()) break;
  }
  if (!chosen.sensors.empty()) return chosen;
  if (is_row || name.empty()) {
    const auto& why = chosen.unavailable;
    return fail(ErrorCode::absent, why.empty() ? "there is nothing to watch here" : why.front().reason,
                name.empty() ? "sensors" : name, why.empty() ? std::string() : why.front().remedy);
  }
  const auto near = nearest_name(name, known);
  return fail(ErrorCode::usage, "no sensor or channel is called '" + printable(name, 60) + "'", {},
              near ? "Did you mean '" + *near + "'? `prony sensors` lists them." : "`prony sensors` lists them.");
}

void set_reason(ChannelPassport& passport, const std::string& field, const std::string& reason) {
  std::erase_if(passport.absent, [&](const Unavailable& entry) { return entry.subject == field; });
  if (!reason.empty()) passport.absent.push_back({field, reason, {}});
}

struct Told {
  std::vector<ChannelPassport> passports;
  std::vector<std::pair<std::string, Origin>> origins;  // by channel, in the order of the passports
  std::vector<std::string> notes;
  Duration watched;
  std::uint64_t reads = 0;
  bool hung = false;
  bool shared_reads = false;  // a read gave several channels at once
};

void learn_sensor(Machine& machine, const Sensor& sensor, const passport::Watched& watched, const std::string& boot_id,
                  Told& told) {
  passport::LearnContext context;
  context.learned_utc = format_utc(machine.anchor().wall_ns);
  context.learned_by = "probe";
  context.boot_id = boot_id;
  context.reads_alone = true;
  context.load_steps = watched.load_steps;
  const auto channels = sensor.channels();
  std::vector<passport::Ticks> ticks;
  std::vector<ChannelPassport> passports;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    ticks.push_back(watched.log->channel(c, watched.ticks));
    auto passport = passport::learn_channel(channels[c], ticks.back(), context);
    passport.slows_others = watched.slows_others;
    set_reason(passport, "slows_others", watched.why_not_slowing);
    passports.push_back(std::move(passport));
    told.origins.emplace_back(channels[c].name, channels[c].origin);
    if (channels[c].model)
      told.notes.push_back(channels[c].name + ": " + std::string(to_string(channels[c].origin)) + ", " +
                           channels[c].model->name + "; what is read is the CPU time it is reckoned from");
  }
  passport::learn_relations(channels, ticks, passports);
  told.shared_reads = told.shared_reads || channels.size() > 1;
  if (!passports.empty()) told.watched = std::max(told.watched, passports.front().watched);
  told.reads += watched.ticks;
  told.passports.insert(told.passports.end(), passports.begin(), passports.end());
}

Told watch_all(const std::shared_ptr<Machine>& machine, const ChosenSensors& chosen, std::optional<Duration> length,
               const std::string& boot_id, const std::atomic<bool>& interrupted) {
  Told told;
  for (const auto& sensor : chosen.sensors) {
    const auto channels = sensor->channels();
    if (interrupted || channels.empty()) continue;
    passport::WatchOptions options;
    options.length = length.value_or(default_length(sensor->lane()));
    options.interrupted = &interrupted;
    options.measure_slowing = sensor->lane() != LaneKind::blocking;
    if (sensor->lane() == LaneKind::blocking) options.patience = milliseconds(10'000);
    // A gauge of power that may answer to load: then a step of load shows what it averages.
    options.make_load_steps =
        machine->kind() == MachineKind::live && options.length >= shortest_load_watch &&
        std::any_of(channels.begin(), channels.end(), [](const Channel& channel) {
          return channel.measure == Measure::power && channel.kind == ChannelKind::gauge && !channel.model;
        });
    const auto watched = passport::watch(machine, sensor, options);
    learn_sensor(*machine, *sensor, watched, boot_id, told);
    const std::string name = channels.front().sensor;
    if (watched.hung) {
      told.hung = true;
      told.notes.push_back(name + ": a read did not come back within " +
                           format_number(options.patience.seconds().value()) + " s; what was seen before is kept");
    }
    if (watched.cut) told.notes.push_back("interrupted: learned from what was seen until then");
    if (watched.full) told.notes.push_back(name + ": the log was full before the time was over");
    for (const Unavailable& complaint : watched.hung ? std::vector<Unavailable>{} : sensor->complaints())
      told.notes.push_back(complaint.subject + ": " + complaint.reason);
  }
  return told;
}

std::string heading(const Told& told, const std::string& name, const MachinePassport& machine) {
  std::string text = "prony probe" + (name.empty() ? std::string() : " · " + name) + " · watched " +
                     short_time(told.watched) + ", " + std::to_string(told.reads) + " reads";
  for (const std::string& fact : {machine.cpu_model, machine.board})
    if (!fact.empty()) text += " · " + fact;
  return text;
}

std::string json_text(const Told& told, const PassportFile& file, const std::string& kept) {
  nlohmann::ordered_json json{{"schema", "prony.probe/1"}, {"machine", file.known.identity}};
  if (!kept.empty()) json["kept"] = kept;
  json["passports"] = nlohmann::ordered_json::array();
  for (const ChannelPassport& passport : told.passports) {
    auto entry = to_json(passport);
    const auto origin = std::ranges::find(told.origins, passport.channel, &std::pair<std::string, Origin>::first);
    if (origin != told.origins.end()) entry["origin"] = to_string(origin->second);
    json["passports"].push_back(std::move(entry));
  }
  json["notes"] = told.notes;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int probe(const ProbeOptions& options) {
  std::optional<Duration> length;
  if (!options.length.empty()) {
    const auto asked = duration_setting(options.length, "for", milliseconds(10), milliseconds(600'000));
    if (!asked) return failed(asked.error());
    length = *asked;
  }
  (void)raise_open_file_limit();
  auto opened = open_machine(options.machine);
  if (!opened) return failed(opened.error());
  const std::shared_ptr<Machine> machine = std::move(*opened);
  const auto chosen = choose_sensors(
      *machine, options.name,
      {.every_channel = options.every_channel, .calibrated = kept_calibration(*machine, options.machine)});
  if (!chosen) return failed(chosen.error());
  PassportFile file = open_passports(*machine, options.machine);
  std::atomic<bool> interrupted{false};
  SignalRelay signals;
  signals.relay([&](int, bool) { interrupted = true; });
  Told told = watch_all(machine, *chosen, length, file.boot_id, interrupted);
  for (const Unavailable& note : chosen->notes)
    told.notes.push_back(note.subject + ": " + note.reason + (note.remedy.empty() ? "" : ". " + note.remedy));
  for (const std::string& trouble : file.trouble) told.notes.push_back(trouble);
  for (const auto& drift : passport::find_drift(file.known, told.passports))
    told.notes.push_back("changed: " + drift.channel + ": " + drift.text);
  // A watch that saw nothing takes nothing away that was known before.
  std::vector<ChannelPassport> worth_keeping;
  for (const ChannelPassport& passport : told.passports)
    if (passport.reads > 0 && (passport.transitions > 0 || file.known.find(passport.channel) == nullptr))
      worth_keeping.push_back(passport);
  std::string kept;
  if (passport::join(file.known, worth_keeping) && !file.path.empty()) {
    if (const auto saved = passport::save(file.path, file.known)) {
      kept = file.path.string();
    } else {
      told.notes.push_back("not kept: " + saved.error().what + " (" + saved.error().where + ")");
    }
  }
  if (!chosen->channel.empty())
    std::erase_if(told.passports, [&](const ChannelPassport& one) { return one.channel != chosen->channel; });
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  std::string text;
  if (options.json) {
    text = json_text(told, file, kept);
  } else {
    const std::string note = simulation_note(*machine);
    text = (note.empty() ? note : note + "\n") + heading(told, options.name, file.known) + "\n\n" +
           passports_text(told.passports, terminal.width, terminal.colour);
    if (told.shared_reads)
      told.notes.insert(told.notes.begin(), "a read is that of all channels of its sensor at once");
    for (const std::string& line : told.notes) text += labelled_line("note", line, terminal.width);
    if (!kept.empty()) text += " kept           " + kept + "\n";
  }
  if (auto written = write_file("-", text); !written) return failed(written.error());
  return told.hung ? exit_code::failed_requests : exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_probe(CLI::App& command) {
  auto options = std::make_shared<ProbeOptions>();
  command.add_option("NAME", options->name, "A sensor or one channel (see `prony sensors`); none: all");
  command.add_option("--for", options->length, "Watch each sensor this long (default: 200ms fast, 5s slow ones)")
      ->type_name("DURATION");
  command.add_flag("--json", options->json, "As JSON; the names carry units");
  command.add_flag("--every-channel", options->every_channel, "Also what they leave out: single CPUs, rails' volts …");
  add_machine_options(command, options->machine);
  return [options](const CommandWords&) { return probe(*options); };
}

}  // namespace prony::app
