// What a channel's energy may be split by, and why: the one place that decides it. Pure, over what was recorded.
// Thread promise: plain values; the pointers are into the channels that were given.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/channel.hpp"

namespace prony::attribution {

// What of the machine an energy channel feeds.
enum class Feeds {
  processors,   // package, core, uncore, cpu; and whatever holds them and is not named: psys, battery, wall, board
  memory,       // dram
  accelerator,  // a graphics or neural processor, also where it shares a rail with others
  device,       // disk, network, display, …
};
[[nodiscard]] Feeds fed_by(const Channel& channel);
[[nodiscard]] inline bool is_accelerator(const Channel& channel) { return fed_by(channel) == Feeds::accelerator; }

enum class Weight { none, cpu_time, cycles, cache_misses, resident, device_use };

struct Basis {
  Weight weight = Weight::none;
  std::string place;       // "package-1": by what was used there; "": of the whole machine; device_use: the device
  std::string text;        // "by CPU time on package-1"; none: one sentence that says why not
  std::string instead_of;  // the better one that was refused, as in `text`
  const Channel* host = nullptr;
  std::vector<const Channel*> targets;  // as asked for; null where this target's use was not recorded
  const Channel* prony = nullptr;       // null: not recorded
};

// A channel that was read, and by which nothing may be split.
struct Refused {
  const Channel* channel = nullptr;
  std::string why;
};

// `read`: every channel that gave a reading. `targets`: names as Target::name; a channel without one is the command's.
// What is best, but for `refused`, is named in the text of the basis that is taken in its place.
[[nodiscard]] Basis basis_of(const Channel& channel, std::span<const Channel* const> read,
                             std::span<const std::string> targets, std::span<const Refused> refused = {});

// The machine's CPU time, whatever is split by it: the basis of co-tenant shares and of processes.
[[nodiscard]] Basis machine_basis(std::span<const Channel* const> read, std::span<const std::string> targets);

// "package-3", for a channel of it or inside it; "" where none is told.
[[nodiscard]] std::string package_of(const Channel& channel, std::span<const Channel* const> channels);

// A reading of somebody's use: CPU time, cycles, cache misses, memory held, a device's time.
[[nodiscard]] bool tells_use(const Channel& channel);
[[nodiscard]] std::string target_name(const Channel& channel);  // Channel::target; "command" for ""

}  // namespace prony::attribution
