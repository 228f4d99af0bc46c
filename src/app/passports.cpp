#include "app/passports.hpp"

#include <algorithm>

#include "app/environment.hpp"
#include "base/text.hpp"
#include "passport/learn.hpp"
#include "passport/store.hpp"
#include "passport/use.hpp"
#include "sensors/machine_facts.hpp"

namespace prony::app {

namespace {

constexpr std::size_t kept_ticks = 8192;
constexpr std::size_t kept_bytes = std::size_t{4} << 20;  // per group

// What stands in for the real trees; "" if nothing does.
std::string chosen_root(const MachineChoice& choice) {
  if (!choice.simulate.empty()) return "simulate " + choice.simulate;
  if (choice.sysfs == "/sys" && choice.procfs == "/proc") return {};
  std::string root;
  for (const auto& tree : {choice.sysfs, choice.procfs}) {
    std::error_code ignored;
    const auto whole = std::filesystem::weakly_canonical(tree, ignored);
    root += (root.empty() ? "" : " ") + (ignored ? tree : whole.string());
  }
  return root;
}

// Of these, changes tell about the sensor; memory and CPU time change when somebody uses them.
bool worth_learning(const Channel& channel) {
  if (channel.scope != Scope::host || channel.model) return false;
  switch (channel.measure) {
    case Measure::energy:
    case Measure::power:
    case Measure::voltage:
    case Measure::current:
    case Measure::temperature:
    case Measure::frequency:
    case Measure::fan_speed:
    case Measure::stored_energy: return true;
    default: return false;
  }
}

}  // namespace

PassportFile open_passports(const Manifest& facts, const MachineChoice& choice) {
  PassportFile file;
  const std::string root = chosen_root(choice);
  file.ours = root.empty();
  file.known = passport::identify(facts, root);
  file.boot_id = make_live_machine()->read_text("/proc/sys/kernel/random/boot_id").value_or("");
  file.path = passport::file_of(environment("XDG_STATE_HOME"), environment("HOME"), file.known.identity);
  if (file.path.empty()) {
    file.trouble.push_back("neither HOME nor XDG_STATE_HOME is set: passports are not kept");
    return file;
  }
  auto stored = passport::load(file.path, file.known.identity, file.boot_id);
  if (stored) {
    file.known = std::move(*stored);
  } else if (stored.error().code != ErrorCode::absent) {
    file.trouble.push_back("stored passports are ignored: " + stored.error().what + " (" + stored.error().where + ")");
  }
  return file;
}

PassportFile open_passports(Machine& machine, const MachineChoice& choice) {
  Manifest facts;
  describe_machine(machine, facts);
  return open_passports(facts, choice);
}

PassportKeeper::PassportKeeper(Machine& machine, const Manifest& facts, const MachineChoice& choice)
    : machine_(machine), file_(open_passports(facts, choice)) {}

void PassportKeeper::fill(std::vector<Channel>& channels, const std::vector<Group>& groups, Manifest& manifest) {
  for (const Group& group : groups)
    if (std::any_of(group.channels.begin(), group.channels.end(),
                    [&](ChannelId id) { return worth_learning(channels[id.value]); }))
      worth_.insert(group.id.value);
  for (const std::string& trouble : file_.trouble)
    manifest.unavailable.push_back({"passport", trouble, "`prony probe` learns them again"});
  manifest.set("passport.machine", file_.known.identity, "machine");
  std::string all;
  for (const std::string& line : passport::fill_channels(channels, file_.known))
    all += (all.empty() ? "" : "; ") + line;
  if (!all.empty()) manifest.set("passport.filled", all, "file");
}

std::vector<ChannelPassport> PassportKeeper::stored(const std::vector<Channel>& channels) const {
  std::vector<ChannelPassport> passports;
  for (const Channel& channel : channels)
    if (const ChannelPassport* passport = file_.known.find(channel.name)) passports.push_back(*passport);
  return passports;
}

void PassportKeeper::see(const TickBlock& block) {
  if (!worth_.contains(block.group().value)) return;
  auto found = ticks_.find(block.group().value);
  if (found == ticks_.end()) {
    const std::size_t bytes = 2 * sizeof(std::int64_t) + block.channels() * (sizeof(std::int64_t) + sizeof(Quality));
    const std::size_t capacity = std::min(kept_ticks, kept_bytes / bytes);
    found = ticks_.emplace(block.group().value, TickBlock(block.group(), block.channels(), capacity)).first;
  }
  TickBlock& kept = found->second;
  if (kept.full() || kept.channels() != block.channels()) return;
  std::vector<Reading> readings(block.channels());
  for (std::size_t t = 0; t < block.ticks() && !kept.full(); ++t) {
    for (std::size_t c = 0; c < readings.size(); ++c) readings[c] = block.reading(c, t);
    kept.push(block.begin(t), block.end(t), readings);
  }
}

PassportKeeper::Learned PassportKeeper::conclude(const std::vector<Channel>& channels,
                                                 const std::vector<Group>& groups) {
  Learned result;
  std::vector<ChannelPassport> learned;
  passport::LearnContext context;
  context.learned_utc = format_utc(machine_.anchor().wall_ns);
  context.learned_by = "run";
  context.boot_id = file_.boot_id;
  for (const Group& group : groups) {
    const auto found = ticks_.find(group.id.value);
    if (found == ticks_.end()) continue;
    std::vector<Channel> watched;
    std::vector<passport::Ticks> ticks;
    std::vector<ChannelPassport> passports;
    context.reads_alone = true;
    for (const ChannelId id : group.channels)
      context.reads_alone =
          context.reads_alone && channels[id.value].sensor == channels[group.channels.front().value].sensor;
    for (std::size_t c = 0; c < group.channels.size(); ++c) {
      const Channel& channel = channels[group.channels[c].value];
      if (!worth_learning(channel)) continue;
      const TickBlock& block = found->second;
      ticks.push_back({block.begins(), block.ends(), block.raws(c), block.qualities(c)});
      passports.push_back(passport::learn_channel(channel, ticks.back(), context));
      watched.push_back(channel);
    }
    for (Channel& channel : watched) {  // part_of: from the Run's numbers to places in this list
      if (!channel.part_of) continue;
      const auto whole = std::find_if(watched.begin(), watched.end(),
                                      [&](const Channel& other) { return other.id == *channel.part_of; });
      channel.part_of = whole == watched.end()
                            ? std::nullopt
                            : std::optional(ChannelId{static_cast<std::uint32_t>(whole - watched.begin())});
    }
    passport::learn_relations(watched, ticks, passports);
    learned.insert(learned.end(), passports.begin(), passports.end());
  }
  for (const passport::Drift& drift : passport::find_drift(file_.known, learned))
    result.drifts.push_back({machine_.now(), "passport-drift", drift.channel,
                             drift.text + ": `prony probe " + drift.channel + "` learns it again"});
  const bool changed = passport::join(file_.known, learned);
  result.passports = stored(channels);
  if (changed && file_.ours && !file_.path.empty())
    if (const auto saved = passport::save(file_.path, file_.known); !saved)
      result.unavailable.push_back(
          {"passport.store",
           "what was learned of the sensors is not kept: " + saved.error().what + " (" + saved.error().where + ")",
           "make that folder writable, or set XDG_STATE_HOME"});
  return result;
}

}  // namespace prony::app
