// The passports of the machine in use: found, filled into channels before a Run, learned from its ticks and kept
// afterwards. Nothing here stops a recording: what goes wrong with the file is told and that is all.
// Thread promise: made, filled and concluded by one thread; see() is called by the one that carries ticks, in between.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/machine_choice.hpp"
#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "model/sample.hpp"

namespace prony::app {

struct PassportFile {
  std::filesystem::path path;  // empty: there is no place for it
  MachinePassport known;       // without channels if nothing was learned yet
  std::string boot_id;
  std::vector<std::string> trouble;  // why what was stored is not used; may be empty
  bool ours = true;  // false: another tree stands in for /sys or /proc; a Run then keeps nothing beyond itself
};
// `facts`: what describe_machine() told of it.
[[nodiscard]] PassportFile open_passports(const Manifest& facts, const MachineChoice& choice);
[[nodiscard]] PassportFile open_passports(Machine& machine, const MachineChoice& choice);  // asks it first

class PassportKeeper {
 public:
  PassportKeeper(Machine& machine, const Manifest& facts, const MachineChoice& choice);

  // Before the Run begins: what the sensors do not document is filled in; the manifest says what and from where.
  // Of `groups`, those are learned from that hold a channel worth it.
  void fill(std::vector<Channel>& channels, const std::vector<Group>& groups, Manifest& manifest);
  // Stored passports of these channels, for the Run.
  [[nodiscard]] std::vector<ChannelPassport> stored(const std::vector<Channel>& channels) const;
  // Keeps the first ticks of each group to learn from.
  void see(const TickBlock& block);
  struct Learned {
    std::vector<ChannelPassport> passports;  // stored and learned, joined
    std::vector<Event> drifts;
    std::vector<Unavailable> unavailable;  // the file could not be written
  };
  // After the last tick: learns, compares with what was stored, and stores.
  [[nodiscard]] Learned conclude(const std::vector<Channel>& channels, const std::vector<Group>& groups);

 private:
  Machine& machine_;
  PassportFile file_;
  std::set<std::uint32_t> worth_;             // groups to learn from
  std::map<std::uint32_t, TickBlock> ticks_;  // by group
};

}  // namespace prony::app
