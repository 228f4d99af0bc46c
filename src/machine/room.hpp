// Room: a simulated machine that real commands can be measured on. Its clock is the live one and the processes on it
// are the real ones; its /sys and /proc are generated from power curves in closed form, so that the true joules of
// every domain between any two instants are known. No joule on it is real. Its load, busy CPU time, clock and
// temperatures follow the same curves; they do not follow what runs. Thread promise: as Machine; what true_joules()
// needs never changes. Its files allocate when read, as those of every SimulatedMachine. Ownership: files handed out
// keep what they need alive. Errors of make_simulated_room(): usage, with the nearest name or the words there are.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "machine/power_curve.hpp"
#include "machine/simulated.hpp"
#include "model/channel.hpp"

namespace prony {

class RoomBuilder;

// How the energy sensors of a room fail, so that people can see how Prony tells them.
enum class RoomFault {
  none,
  reset,   // every counter goes back to 0 at `at`
  eio,     // reads fail with an I/O error for a while
  vanish,  // the devices leave (ENODEV)
  stale,   // the values stand still
};

// "laptop", "laptop,fault=eio", "laptop,fault=stale,at=0.5,for=1": times in seconds since the room was made.
struct RoomChoice {
  std::string name;
  RoomFault fault = RoomFault::none;
  Duration fault_at = milliseconds(500);
  Duration fault_length;  // 0: until the end
};
[[nodiscard]] Result<RoomChoice> parse_room_choice(std::string_view text);
[[nodiscard]] std::string_view to_string(RoomFault fault) noexcept;

// A domain whose joules are known, and what channels that measure it call themselves: their domain or their device.
struct RoomDomain {
  std::string name;
  std::vector<std::string> known_as;
  PowerCurve curve;
};

class Room final : public Machine {
 public:
  // `clock`: what now() says; empty: the live monotonic clock.
  [[nodiscard]] static Result<std::unique_ptr<Room>> make(const RoomChoice& choice, SimulatedMachine::Clock clock = {});

  [[nodiscard]] const RoomChoice& choice() const noexcept { return choice_; }
  // Where the curves have their 0.
  [[nodiscard]] Instant start() const noexcept { return start_; }
  [[nodiscard]] std::span<const RoomDomain> domains() const noexcept { return domains_; }
  // What the channel's domain drew in truth. nullopt: the channel gives no energy, or of nothing that the room knows.
  [[nodiscard]] std::optional<Joules> true_joules(const Channel& channel, Interval interval) const;

  [[nodiscard]] MachineKind kind() const noexcept override { return MachineKind::simulated; }
  [[nodiscard]] Instant now() const noexcept override;
  [[nodiscard]] Anchor anchor() const noexcept override;
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path) override { return files_.open(path); }
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) override { return files_.list(path); }
  [[nodiscard]] Result<std::string> read_text(const std::string& path) override { return files_.read_text(path); }
  [[nodiscard]] Result<std::string> read_link(const std::string& path) override { return files_.read_link(path); }
  [[nodiscard]] bool exists(const std::string& path) override { return files_.exists(path); }
  [[nodiscard]] Result<Duration> process_cpu_time(std::int64_t pid) noexcept override;
  [[nodiscard]] Result<std::unique_ptr<Library>> open_library(std::span<const std::string_view> names) override {
    return files_.open_library(names);
  }
  [[nodiscard]] Result<std::unique_ptr<Device>> open_device(const std::string& path) override {
    return files_.open_device(path);
  }
  [[nodiscard]] Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration most) override {
    return files_.run_program(arguments, most);
  }
  [[nodiscard]] Duration own_cpu_time() const noexcept override { return live_->own_cpu_time(); }
  [[nodiscard]] unsigned cpu_count() override { return files_.cpu_count(); }
  [[nodiscard]] Duration tick_period() const noexcept override { return live_->tick_period(); }

 private:
  Room(RoomChoice choice, SimulatedMachine::Clock clock);

  RoomChoice choice_;
  std::unique_ptr<Machine> live_;  // its clocks and the processes
  SimulatedMachine::Clock clock_;
  Instant start_;
  SimulatedMachine files_;
  std::vector<RoomDomain> domains_;
};

// Every machine that there is to simulate.
struct RoomRow {
  std::string_view name;
  std::string_view help;
  void (*build)(RoomBuilder&);
};
[[nodiscard]] std::span<const RoomRow> room_catalogue() noexcept;

}  // namespace prony
