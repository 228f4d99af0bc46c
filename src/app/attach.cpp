// `prony attach RUN METER`: a meter's log is laid beside a Run that was recorded at the same time, its clock set right
// by the shape of both, in a new file. The Run itself stays as it is.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "app/common.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "calibrate/align.hpp"
#include "calibrate/calibration.hpp"
#include "reports/figures.hpp"
#include "sensors/line_map.hpp"
#include "sensors/wall.hpp"
#include "store/amend.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct AttachOptions {
  std::string run, meter, out, within = "60s", offset;
};

constexpr std::size_t longest_log = std::size_t{1} << 30;
constexpr double meter_grid_s = 0.05;
constexpr std::size_t most_cells = 2'000'000;

// What a channel had counted, integrated or been busy for, by the time.
struct Climb {
  std::vector<double> at_s, sum;
  [[nodiscard]] double at(double t) const {
    const auto next = std::ranges::upper_bound(at_s, t);
    if (next == at_s.begin()) return sum.front();
    if (next == at_s.end()) return sum.back();
    const auto i = static_cast<std::size_t>(next - at_s.begin());
    return sum[i - 1] + (sum[i] - sum[i - 1]) * (t - at_s[i - 1]) / (at_s[i] - at_s[i - 1]);
  }
};

Result<Climb> climb_of(const Run& run, const Channel& channel) {
  Climb climb;
  for (const Group& group : run.groups()) {
    const auto found = std::ranges::find(group.channels, channel.id);
    if (found == group.channels.end()) continue;
    const auto column = static_cast<std::size_t>(found - group.channels.begin());
    double last = 0, sum = 0;
    const auto read = run.for_each_block(group.id, [&](const TickBlock& block) {
      for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
        const Reading reading = block.reading(column, tick);
        if (reading.quality == Quality::gap) continue;
        const double at_s = static_cast<double>(block.begin(tick).ns + block.end(tick).ns) * 0.5e-9;
        const double value = static_cast<double>(reading.raw) * channel.scale;
        if (!climb.at_s.empty()) {
          if (at_s <= climb.at_s.back()) continue;
          const double passed_s = at_s - climb.at_s.back();
          sum += channel.kind == ChannelKind::counter || channel.model ? std::max(0.0, value - last)
                                                                       : 0.5 * (value + last) * passed_s;
        }
        last = value;
        climb.at_s.push_back(at_s);
        climb.sum.push_back(sum);
      }
      return true;
    });
    if (!read) return Unexpected<Error>(read.error());
  }
  return climb;
}

// The power that the machine saw of itself, or how busy it was: what rises and falls with its power.
Result<calibrate::PowerSeries> seen_by(const Run& run, std::vector<std::string>& names) {
  std::vector<Climb> climbs;
  for (const Channel* channel : calibrate::software_channels(run.channels(), "")) {
    auto climb = climb_of(run, *channel);
    if (!climb) return Unexpected<Error>(climb.error());
    if (climb->at_s.size() < 2 || climb->sum.back() <= 0) continue;
    climbs.push_back(std::move(*climb));
    names.push_back(channel->name);
  }
  calibrate::PowerSeries seen;
  if (climbs.empty())
    return fail(ErrorCode::absent, "this Run saw nothing of its own power to lay the meter beside", run.path().string(),
                "If both clocks are one, name the offset:  --offset 0s");
  double from = climbs.front().at_s.front(), to = climbs.front().at_s.back();
  for (const Climb& climb : climbs) from = std::max(from, climb.at_s.front()), to = std::min(to, climb.at_s.back());
  const double step_s = std::max(meter_grid_s, (to - from) / static_cast<double>(most_cells));
  for (double t = from; t + step_s <= to; t += step_s) {
    double sum = 0;
    for (const Climb& climb : climbs) sum += climb.at(t + step_s) - climb.at(t);
    seen.at_s.push_back(t + step_s / 2);
    seen.value.push_back(sum / step_s);
  }
  return seen;
}

struct Log {
  calibrate::PowerSeries power;
  FinestStep step;
  std::uint64_t passed_over = 0, out_of_order = 0;
  bool half_line = false;
};

Result<Log> read_log(const Meter& meter) {
  auto map = line_map_of(meter);
  if (!map) return Unexpected<Error>(map.error());
  if (!map->power())
    return fail(ErrorCode::usage, "a log is attached by its power", "METER", "Name the column:  #watts=2,time=1");
  if (map->time.empty())
    return fail(ErrorCode::usage, "nobody said which column is the time", "METER",
                "Name it, seconds since 1970 or since any other moment:  #time=1");
  const auto text = read_whole_file(meter.address, longest_log);
  if (!text) return Unexpected<Error>(text.error());
  LineParser parser(std::move(*map));
  Log log;
  parser.feed(*text, [&](const LineReading& reading) {
    if (!reading.time_s || !reading.watts) return;
    if (!log.power.at_s.empty() && *reading.time_s <= log.power.at_s.back()) return void(++log.out_of_order);
    log.power.at_s.push_back(*reading.time_s);
    log.power.value.push_back(*reading.watts);
    log.step.see(reading.watts_step);
  });
  log.passed_over = parser.passed_over();
  log.half_line = parser.half_line_left();
  if (log.power.at_s.size() < 2)
    return fail(ErrorCode::malformed,
                "no two readings in it" +
                    (parser.passed_over() > 0 ? ", but lines such as '" + parser.last_passed_over() + "'" : ""),
                meter.address, "Say which column is what:  #time=1,watts=2  (`prony help meters`)");
  return log;
}

constexpr double first_wall_s = 1e9;  // 2001: a smaller number counts from something else

// What is to be added to the meter's times if its clock is right.
double guessed_offset_s(const Run& run, const Log& log, bool& wall) {
  wall = log.power.at_s.front() > first_wall_s && !run.anchors().empty();
  if (!wall) return 0;
  const Anchor& anchor = run.anchors().front();
  return static_cast<double>(anchor.monotonic.ns) * 1e-9 - static_cast<double>(anchor.wall_ns) * 1e-9;
}

Result<calibrate::Alignment> offset_of(const AttachOptions& options, const Run& run, const Log& log,
                                       std::vector<std::string>& names, double& guess_s) {
  bool wall = false;
  guess_s = guessed_offset_s(run, log, wall);
  if (!options.offset.empty()) {
    const bool back = options.offset.starts_with('-');
    const auto offset = parse_duration_ns(std::string_view(options.offset).substr(back ? 1 : 0));
    if (!offset)
      return fail(ErrorCode::usage, "'" + printable(options.offset, 40) + "' is no duration", "--offset",
                  "What to add to the meter's clock: 0s, 1.5s, -200ms");
    if (!wall) return fail(ErrorCode::usage, "its times do not count from 1970", "--offset", "Leave it out.");
    calibrate::Alignment named;
    named.offset_s = guess_s + static_cast<double>(*offset) * (back ? -1e-9 : 1e-9);
    return named;
  }
  const auto within = duration_setting(options.within, "within", milliseconds(100), milliseconds(86'400'000));
  if (!within) return Unexpected<Error>(within.error());
  const auto seen = seen_by(run, names);
  if (!seen) return Unexpected<Error>(seen.error());
  calibrate::AlignOptions how{guess_s, within->seconds().value()};
  if (!wall && seen->at_s.size() > 1) {  // anywhere that the two can meet
    const double seen_s = seen->at_s.back() - seen->at_s.front();
    const double log_s = log.power.at_s.back() - log.power.at_s.front();
    how.guess_s = (seen->at_s.front() + seen->at_s.back() - log.power.at_s.front() - log.power.at_s.back()) / 2;
    how.within_s = (seen_s + log_s) / 2;
  }
  return calibrate::align(*seen, log.power, how);
}

std::int64_t ns_of(double seconds) { return std::llround(seconds * 1e9); }

Amendment amendment_of(const Run& run, const Meter& meter, const Log& log, const calibrate::Alignment& told,
                       std::vector<TickBlock>& blocks) {
  Amendment amendment;
  std::uint32_t channel_id = 0, group_id = 0;
  for (const Channel& channel : run.channels()) channel_id = std::max(channel_id, channel.id.value + 1);
  for (const Group& group : run.groups()) group_id = std::max(group_id, group.id.value + 1);
  std::vector<double> gaps;
  for (std::size_t i = 1; i < log.power.at_s.size(); ++i) gaps.push_back(log.power.at_s[i] - log.power.at_s[i - 1]);
  std::ranges::nth_element(gaps, gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2));
  const Duration period{std::max<std::int64_t>(1'000'000, ns_of(gaps[gaps.size() / 2]))};
  // Another meter there already: nobody told whether both see the same.
  const bool alone = std::ranges::none_of(run.channels(), at_the_wall);
  Channel channel = meter_channel(meter, "line-meter", "power", Measure::power, alone);
  channel.id = {channel_id};
  channel.scale = 1e-3;
  channel.resolution = log.step.in_counts(1000);
  channel.update_period = 2 * period;
  amendment.group = {GroupId{group_id}, "attached-" + meter.name, period, {channel.id}};
  amendment.channels = {std::move(channel)};
  std::vector<Channel> all = run.channels();
  all.push_back(amendment.channels.front());
  place_behind_the_wall(all);
  for (std::size_t i = 0; i + 1 < all.size(); ++i)
    if (all[i].part_of != run.channels()[i].part_of) amendment.part_of.emplace_back(all[i].id, *all[i].part_of);
  // Each reading lies in the time that the offset leaves open.
  const std::int64_t half = std::min(ns_of(told.doubt_s), std::int64_t{3'600'000'000'000});
  for (std::size_t i = 0; i < log.power.at_s.size(); ++i) {
    if (blocks.empty() || blocks.back().full()) blocks.emplace_back(amendment.group.id, 1, 1024);
    const std::int64_t at = ns_of(log.power.at_s[i] + told.offset_s);
    const Reading reading{std::llround(log.power.value[i] * 1000), Quality::ok};
    blocks.back().push(Instant{at - half}, Instant{at + half}, std::span(&reading, 1));
  }
  amendment.blocks = blocks;
  return amendment;
}

std::string alignment_words(const Meter& meter, const Log& log, const calibrate::Alignment& told, double guess_s,
                            bool named, const std::vector<std::string>& names) {
  std::string from;
  for (const std::string& name : names) from += (from.empty() ? "" : " + ") + printable(name, 60);
  std::string text = " meter     " + printable(meter.address, 200) + ": " + std::to_string(log.power.at_s.size()) +
                     " readings over " + figures::seconds(log.power.at_s.back() - log.power.at_s.front());
  if (log.passed_over > 0) text += ", " + std::to_string(log.passed_over) + " lines without one passed over";
  if (log.half_line) text += ", half a line at its end left out";
  if (log.out_of_order > 0) text += ", " + std::to_string(log.out_of_order) + " not later than the one before left out";
  text += "\n clock     ";
  if (named) return text + "as named\n";
  const double off_s = told.offset_s - guess_s;
  text += (guess_s != 0 ? format_fixed(off_s, 3) + " s added to it" : "set by the shape alone") + ", ±" +
          format_fixed(told.doubt_s, 3) + " s (95 %)\n";
  return text + " fit       correlates by " + format_fixed(told.correlation, 3) + " with " + from + " (next best " +
         format_fixed(told.next_correlation, 3) + "), residual " + figures::watts(told.residual_w) + "\n";
}

int attach(const AttachOptions& options) {
  const std::string text = options.meter.find(':') == std::string::npos ? "file:" + options.meter : options.meter;
  const auto meter = parse_meter(text);
  if (!meter) return failed(meter.error());
  if (meter->kind != MeterKind::file)
    return failed({ErrorCode::usage, "only a file can be attached afterwards", "METER",
                   "[NAME=]file:PATH#time=1,watts=2\nOthers are read live:  prony run --meter …"});
  const auto run = Run::open(options.run);
  if (!run) return failed(run.error());
  if ((*run)->state() == RunState::recording)
    return failed({ErrorCode::usage, "this Run is still being recorded", options.run, "Wait for its end."});
  for (const Channel& channel : (*run)->channels())
    if (channel.name == "line-meter." + meter->name + ".power")
      return failed(
          {ErrorCode::usage, "the Run has a meter of that name", channel.name, "Name this one:  NAME=file:PATH"});
  const auto log = read_log(*meter);
  if (!log) return failed(log.error());
  std::vector<std::string> names;
  double guess_s = 0;
  const auto told = offset_of(options, **run, *log, names, guess_s);
  if (!told)
    return failed({told.error().code, told.error().what,
                   told.error().where.empty() ? meter->address : told.error().where, told.error().fix});
  std::filesystem::path out = options.out;
  if (out.empty()) {
    out = options.run;
    out.replace_filename(out.stem().string() + "+" + meter->name + ".prony");
  }
  std::error_code trouble;
  if (std::filesystem::exists(out, trouble))
    return failed({ErrorCode::usage, "is there already", out.string(), "Name another place:  --out PATH"});
  if (!std::filesystem::copy_file(options.run, out, trouble))
    return failed(error_from_errno(trouble.value(), out.string(), "cannot write"));
  std::vector<TickBlock> blocks;
  Amendment amendment = amendment_of(**run, *meter, *log, *told, blocks);
  const std::string key = "attached." + meter->name + ".";
  const auto fact = [&](const char* name, std::string value, const char* origin) {
    amendment.facts.push_back({key + name, std::move(value), origin});
  };
  fact("from", meter->address, "flag");
  if (guess_s != 0) fact("clock_offset_s", format_number(told->offset_s - guess_s), "prony");
  fact("clock_doubt_s", format_number(told->doubt_s), "prony");
  if (options.offset.empty()) {
    fact("correlation", format_number(told->correlation), "prony");
    fact("next_correlation", format_number(told->next_correlation), "prony");
    fact("residual_w", format_number(told->residual_w), "prony");
  }
  if (auto amended = amend_run(out, amendment); !amended) {
    std::filesystem::remove(out, trouble);
    return failed(amended.error());
  }
  const auto written = write_file("-", alignment_words(*meter, *log, *told, guess_s, !options.offset.empty(), names) +
                                           " saved     " + out.string() + "     `prony show " + out.string() + "`\n");
  return written ? exit_code::ok : failed(written.error());
}

}  // namespace

std::function<int(const CommandWords&)> add_attach(CLI::App& command) {
  auto options = std::make_shared<AttachOptions>();
  AttachOptions& o = *options;
  command.add_option("RUN", o.run, "The Run that was recorded meanwhile")->required();
  command.add_option("METER", o.meter, "Its log: [NAME=]file:PATH#time=1,watts=2 (see `prony help meters`)")
      ->required();
  command.add_option("--within", o.within, "How far its clock may be off (default 60s)")->type_name("DURATION");
  command.add_option("--offset", o.offset, "What to add to its clock, instead of finding it")->type_name("DURATION");
  command.add_option("--out", o.out, "The new Run (default RUN+NAME.prony)")->type_name("PATH");
  return [options](const CommandWords&) { return attach(*options); };
}

}  // namespace prony::app
