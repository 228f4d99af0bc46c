#include "process/drm_users.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "machine/drm_fdinfo.hpp"

namespace prony {

namespace {

constexpr unsigned rest_looks = 5;  // a process without a client is looked at again after so many

// The walk over the processes.
class Clients {
 public:
  Clients(Machine& machine, const std::vector<DrmDomain>& cards)
      : machine_(machine), cards_(cards), uses_(cards.size()), taken_(cards.size(), true) {}

  // Why no look tells of everybody; "": one does.
  [[nodiscard]] std::string why_not() {
    if (first_) walk();
    if (failed_) return "/proc cannot be listed";
    if (most_closed_ == 0) return {};
    return "the descriptors of " + std::to_string(most_closed_) +
           " processes of others may not be read; root may, and who has the capability CAP_SYS_PTRACE";
  }
  [[nodiscard]] bool look(std::size_t card, std::vector<DeviceUse>& out) {
    if (taken_[card]) walk();
    taken_[card] = true;
    out.assign(uses_[card].begin(), uses_[card].end());
    return !failed_ && most_closed_ == 0;
  }

 private:
  struct Client {
    std::int64_t pid = 0;            // that was seen with it first
    std::vector<DrmEngine> engines;  // as last seen
    bool seen = false;
  };
  struct Process {
    std::uint64_t identity = 0;
    unsigned rest = 0;  // looks until it is looked at again: it had no client
    bool seen = false;
  };
  using Key = std::pair<std::size_t, std::string>;  // card and client

  void walk();
  void look_at(const ListedProcess& process, Instant now);
  void take(const ListedProcess& process, const std::string& descriptor, const DrmClient& seen, Instant now);

  Machine& machine_;
  const std::vector<DrmDomain> cards_;
  std::vector<std::vector<DeviceUse>> uses_;  // by card, of the last walk
  std::vector<bool> taken_;                   // by card
  std::map<Key, Client> clients_;
  std::map<std::int64_t, Process> processes_;
  std::vector<ListedProcess> listed_;
  Instant last_;
  bool first_ = true, failed_ = false;
  std::size_t closed_ = 0, most_closed_ = 0;  // processes whose descriptors could not be read
};

std::int64_t used_ns(const std::vector<DrmEngine>& before, const DrmClient& now, Duration between) {
  std::uint64_t sum = 0;
  for (const DrmEngine& engine : now.engines) {
    const auto old = std::ranges::find(before, engine.name, &DrmEngine::name);
    const bool known = old != before.end();
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
  return static_cast<std::int64_t>(sum);
}

void Clients::take(const ListedProcess& process, const std::string& descriptor, const DrmClient& seen, Instant now) {
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
  if (fresh) client.pid = process.pid;
  // What a client used before the first look is not the recording's; who came later began at 0.
  const bool counts = !fresh || !first_;
  uses_[card].push_back(
      {client.pid, counts ? used_ns(client.engines, seen, now - last_) : 0, seen.memory_bytes.value_or(0), true});
  client.engines = seen.engines;
}

void Clients::look_at(const ListedProcess& process, Instant now) {
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

void Clients::walk() {
  failed_ = !machine_.list_processes(listed_);
  if (failed_) return;
  const auto now = machine_.now();
  closed_ = 0;
  for (auto& uses : uses_) uses.clear();
  for (auto& [key, client] : clients_) client.seen = false;
  for (auto& [pid, process] : processes_) process.seen = false;
  for (const auto& process : listed_) look_at(process, now);
  std::erase_if(clients_, [](const auto& entry) { return !entry.second.seen; });
  std::erase_if(processes_, [](const auto& entry) { return !entry.second.seen; });
  last_ = now;
  first_ = false;
  most_closed_ = std::max(most_closed_, closed_);  // once something was closed, the sum lacks it for good
  std::fill(taken_.begin(), taken_.end(), false);
}

class CardUsers final : public DeviceUsers {
 public:
  CardUsers(std::shared_ptr<Clients> clients, std::size_t card, DrmDomain named)
      : clients_(std::move(clients)), card_(card), named_(std::move(named)) {}
  [[nodiscard]] const std::string& users_device() const noexcept override { return named_.address; }
  [[nodiscard]] const std::string& users_domain() const noexcept override { return named_.domain; }
  [[nodiscard]] std::string why_no_users() override { return clients_->why_not(); }
  [[nodiscard]] bool look_at_users(std::vector<DeviceUse>& out) override { return clients_->look(card_, out); }

 private:
  std::shared_ptr<Clients> clients_;
  std::size_t card_;
  DrmDomain named_;
};

}  // namespace

std::vector<std::unique_ptr<DeviceUsers>> make_drm_users(Machine& machine, const std::vector<DrmDomain>& cards) {
  const auto clients = std::make_shared<Clients>(machine, cards);
  std::vector<std::unique_ptr<DeviceUsers>> users;
  for (std::size_t card = 0; card < cards.size(); ++card)
    users.push_back(std::make_unique<CardUsers>(clients, card, cards[card]));
  return users;
}

}  // namespace prony
