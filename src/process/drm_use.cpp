#include "process/drm_use.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "process/proc_files.hpp"

namespace prony {

namespace {

constexpr unsigned rest_looks = 5;    // a process without a client is looked at again after so many
constexpr int most_generations = 64;  // no tree is deeper; a cycle in a scripted /proc ends here

Channel use_channel(const DrmDomain& card, const Target* target) {
  Channel channel;
  channel.sensor = "drm-use";
  channel.device = card.address;
  channel.domain = card.domain;
  channel.measure = Measure::time;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-9;
  channel.name = "drm." + card.domain + ".time";
  if (target == nullptr) return channel;
  const bool command = target->name == command_target;
  channel.scope = Scope::target;
  channel.target = command ? std::string() : target->name;
  channel.name = "target." + (command ? "" : target->name + ".") + card.domain + ".time";
  return channel;
}

}  // namespace

DrmUse::DrmUse(Machine& machine, std::vector<DrmDomain> cards, const std::vector<Target>& targets)
    : machine_(machine), cards_(std::move(cards)), targets_(targets.size()) {
  for (const DrmDomain& card : cards_) {
    channels_.push_back(use_channel(card, nullptr));
    for (const Target& target : targets) channels_.push_back(use_channel(card, &target));
  }
  for (std::size_t i = 0; i < channels_.size(); ++i) channels_[i].id = {static_cast<std::uint32_t>(i)};
  totals_.resize(channels_.size());
  shown_.resize(channels_.size());
}

void DrmUse::follow_command(std::size_t target, std::int64_t pid) {
  command_target_ = target;
  command_pid_ = pid;
}

void DrmUse::set_members(std::vector<std::pair<std::int64_t, std::size_t>> members) {
  std::ranges::sort(members);
  members_ = std::move(members);
}

std::size_t DrmUse::target_of(std::int64_t pid) {
  const auto named = std::ranges::lower_bound(members_, std::pair{pid, std::size_t{0}});
  if (named != members_.end() && named->first == pid) return named->second;
  for (int i = 0; command_pid_ > 0 && pid > 1 && i < most_generations; ++i) {
    if (pid == command_pid_) return command_target_;
    const auto text = machine_.read_text("/proc/" + std::to_string(pid) + "/stat");
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat) break;
    pid = stat->parent;
  }
  return targets_;
}

std::uint64_t DrmUse::used_ns(const Client& before, const DrmClient& now, Duration between) const {
  std::uint64_t sum = 0;
  for (const DrmEngine& engine : now.engines) {
    const auto old = std::ranges::find(before.engines, engine.name, &DrmEngine::name);
    const bool known = old != before.engines.end();
    if (engine.busy_ns) {
      const auto from = known ? old->busy_ns.value_or(0) : 0;
      if (*engine.busy_ns > from) sum += *engine.busy_ns - from;
    } else if (engine.cycles && engine.total_cycles && known && old->cycles && old->total_cycles) {
      if (*engine.cycles <= *old->cycles || *engine.total_cycles <= *old->total_cycles) continue;
      const auto part = static_cast<double>(*engine.cycles - *old->cycles) /
                        static_cast<double>(*engine.total_cycles - *old->total_cycles);
      const double most = static_cast<double>(engine.capacity);
      sum += static_cast<std::uint64_t>(std::min(part, most) * static_cast<double>(between.ns));
    }
  }
  return sum;
}

void DrmUse::take(const ListedProcess& process, const std::string& descriptor, const DrmClient& seen, Instant now) {
  std::size_t card = 0;
  while (card < cards_.size() && cards_[card].address != seen.device) ++card;
  if (card == cards_.size()) return;
  // Without a number two descriptors cannot be told from two clients: each process counts for one.
  const auto name =
      seen.client_id ? std::to_string(*seen.client_id) : "pid " + std::to_string(process.pid) + " fd " + descriptor;
  auto [at, fresh] = clients_.try_emplace(Key{card, name});
  Client& client = at->second;
  if (client.seen) return;  // another descriptor of the same client, in this look
  client.seen = true;
  if (fresh) {
    client.card = card;
    client.target = target_of(process.pid);
  }
  // What a client used before the first look is not the recording's; who came later began at 0.
  if (!(fresh && first_)) {
    const auto used = used_ns(client, seen, now - last_);
    totals_[card * (targets_ + 1)] += used;
    if (client.target < targets_) totals_[card * (targets_ + 1) + 1 + client.target] += used;
  }
  client.engines = seen.engines;
}

void DrmUse::look_at(const ListedProcess& process, Instant now) {
  auto& known = processes_[process.pid];
  const bool same = process.identity != 0 && known.identity == process.identity;
  known.seen = true;
  if (same && known.rest > 0) {
    --known.rest;
    return;
  }
  known.identity = process.identity;
  known.rest = rest_looks;
  const auto folder = "/proc/" + std::to_string(process.pid);
  const auto descriptors = machine_.list(folder + "/fd");
  if (!descriptors) {
    if (descriptors.error().code == ErrorCode::denied) ++closed_;
    known.rest = 0;
    return;
  }
  for (const auto& descriptor : *descriptors) {
    const auto link = machine_.read_link(folder + "/fd/" + descriptor);
    if (!link || !link->starts_with("/dev/dri/")) continue;
    known.rest = 0;
    const auto text = machine_.read_text(folder + "/fdinfo/" + descriptor);
    if (const auto client = text ? parse_drm_fdinfo(*text) : std::nullopt) take(process, descriptor, *client, now);
  }
}

void DrmUse::survey() {
  if (!machine_.list_processes(listed_)) return;
  const auto now = machine_.now();
  closed_ = 0;
  for (auto& [key, client] : clients_) client.seen = false;
  for (auto& [pid, process] : processes_) process.seen = false;
  for (const auto& process : listed_) look_at(process, now);
  std::erase_if(clients_, [](const auto& entry) { return !entry.second.seen; });
  std::erase_if(processes_, [](const auto& entry) { return !entry.second.seen; });
  last_ = now;
  first_ = false;
  const std::lock_guard lock(mutex_);
  shown_ = totals_;
  complete_ = closed_ == 0;
  most_closed_ = std::max(most_closed_, closed_);
}

void DrmUse::read(std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  // Once something was closed, the host's sum lacks it for good: it stays a gap.
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool host = i % (targets_ + 1) == 0;
    const bool known = host ? complete_ && most_closed_ == 0 : true;
    out[i] = known ? Reading{static_cast<std::int64_t>(shown_[i]), Quality::ok} : Reading{};
  }
}

std::vector<Unavailable> DrmUse::unavailable() const {
  const std::lock_guard lock(mutex_);
  if (most_closed_ == 0) return {};
  return {{"drm-use",
           "who used the graphics processor is known of this user's processes only: the descriptors of " +
               std::to_string(most_closed_) + " others may not be read, so its energy is not split",
           "run as root, or give prony the capability CAP_SYS_PTRACE"}};
}

}  // namespace prony
