#include "machine/room.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "machine/room_builder.hpp"

namespace prony {

namespace {

constexpr std::array<std::pair<std::string_view, RoomFault>, 5> faults{{{"none", RoomFault::none},
                                                                        {"reset", RoomFault::reset},
                                                                        {"eio", RoomFault::eio},
                                                                        {"vanish", RoomFault::vanish},
                                                                        {"stale", RoomFault::stale}}};
constexpr std::string_view option = "--simulate";

Unexpected<Error> unknown(std::string_view what, std::string_view word, const std::vector<std::string>& known) {
  std::string all;
  for (const auto& name : known) all += (all.empty() ? "" : ", ") + name;
  const auto near = nearest_name(word, known);
  return fail(ErrorCode::usage, std::string(what) + " '" + printable(word, 40) + "'", std::string(option),
              (near ? "Did you mean '" + *near + "'? " : std::string()) + "There are: " + all + ".");
}

Result<Duration> seconds_word(std::string_view key, std::string_view value) {
  const auto seconds = parse_finite(value);
  if (!seconds || *seconds < 0 || *seconds > 1e6)
    return fail(ErrorCode::usage, "'" + printable(value, 40) + "' is no number of seconds",
                std::string(option) + " " + std::string(key) + "=", "Write for example: laptop,fault=eio,at=0.5,for=1");
  return Duration{std::llround(*seconds * 1e9)};
}

}  // namespace

std::string_view to_string(RoomFault fault) noexcept {
  for (const auto& [name, value] : faults)
    if (value == fault) return name;
  return "unknown";
}

Result<RoomChoice> parse_room_choice(std::string_view text) {
  const auto parts = split(text, ',');
  RoomChoice choice;
  choice.name = std::string(trim(parts.front()));
  std::vector<std::string> names, fault_names;
  for (const RoomRow& row : room_catalogue()) names.emplace_back(row.name);
  for (const auto& [name, fault] : faults) fault_names.emplace_back(name);
  if (std::find(names.begin(), names.end(), choice.name) == names.end())
    return unknown("there is no simulated machine called", choice.name, names);
  bool length_given = false;
  for (const auto part : std::span(parts).subspan(1)) {
    const auto equals = part.find('=');
    const auto key = trim(part.substr(0, equals));
    const auto value = equals == std::string_view::npos ? std::string_view() : trim(part.substr(equals + 1));
    if (key == "fault") {
      const auto found = std::find_if(faults.begin(), faults.end(), [&](const auto& f) { return f.first == value; });
      if (found == faults.end()) return unknown("there is no fault called", value, fault_names);
      choice.fault = found->second;
    } else if (key == "at" || key == "for") {
      const auto seconds = seconds_word(key, value);
      if (!seconds) return Unexpected<Error>(seconds.error());
      (key == "at" ? choice.fault_at : choice.fault_length) = *seconds;
      length_given = length_given || key == "for";
    } else {
      return unknown("unknown word", key, {"fault", "at", "for"});
    }
  }
  if (choice.fault == RoomFault::eio && !length_given) choice.fault_length = milliseconds(300);
  return choice;
}

Room::Room(RoomChoice choice, SimulatedMachine::Clock clock)
    : choice_(std::move(choice)), live_(make_live_machine()), clock_(std::move(clock)) {
  // The clock outlives the room in what its files hold: it must not lead back here.
  if (!clock_) clock_ = [live = std::shared_ptr<const Machine>(make_live_machine())] { return live->now(); };
  start_ = clock_();
  files_.set_clock(clock_);
}

Result<std::unique_ptr<Room>> Room::make(const RoomChoice& choice, SimulatedMachine::Clock clock) {
  for (const RoomRow& row : room_catalogue()) {
    if (row.name != choice.name) continue;
    std::unique_ptr<Room> room(new Room(choice, std::move(clock)));
    RoomBuilder builder(room->files_, room->domains_, choice, room->start_, room->live_->tick_period(), room->clock_);
    row.build(builder);
    return room;
  }
  return fail(ErrorCode::usage, "there is no simulated machine called '" + printable(choice.name, 40) + "'",
              std::string(option));
}

std::optional<Joules> Room::true_joules(const Channel& channel, Interval interval) const {
  if (!gives_energy(channel) || channel.scope != Scope::host) return std::nullopt;
  for (const RoomDomain& domain : domains_)
    for (const auto& name : domain.known_as)
      if (name == channel.domain || name == channel.device)
        return domain.curve.joules(interval.begin - start_, interval.end - start_);
  return std::nullopt;
}

Instant Room::now() const noexcept { return clock_(); }
Anchor Room::anchor() const noexcept {
  const Anchor live = live_->anchor();
  return {now(), live.wall_ns + (now() - live.monotonic).ns, live.width};
}
Result<Duration> Room::process_cpu_time(std::int64_t pid) noexcept { return live_->process_cpu_time(pid); }

}  // namespace prony
