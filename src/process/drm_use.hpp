// DrmUse: for how long each target used each graphics processor, and for how long everybody did: counters "drm.DOMAIN"
// (host) and "target.DOMAIN", "target.NAME.DOMAIN" of the card's own domain, by which its energy can be split. Out of
// the kernel's account of each client in /proc/PID/fdinfo; a client that several descriptors or processes show counts
// once, for the target of the process that was seen with it first.
// What a client used between the last look and its end is not known; nor is what users' processes used whose
// descriptors may not be read. Where there are such, the host's counter is a gap, and nothing can be split by it.
// Units: ns of engine time. Thread promise: read() on one thread, the rest on another. Ownership: the Machine must
// outlive it. Source: Documentation/gpu/drm-usage-stats.rst.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "machine/drm_fdinfo.hpp"
#include "machine/machine.hpp"
#include "model/target.hpp"
#include "sensors/sensor.hpp"

namespace prony {

// A card whose energy is measured: the address by which clients name it, and the domain of its channels.
struct DrmDomain {
  std::string address, domain;
};

class DrmUse final : public Sensor {
 public:
  // `targets`: in their order; one that is called "command" is the command's tree.
  DrmUse(Machine& machine, std::vector<DrmDomain> cards, const std::vector<Target>& targets);

  // The command: it and its descendants belong to `target`.
  void follow_command(std::size_t target, std::int64_t pid);
  // Processes of other targets, in place of those told before.
  void set_members(std::vector<std::pair<std::int64_t, std::size_t>> members);
  // Looks at the descriptors of processes; slow (milliseconds), about once a second and at the end.
  void survey();

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  // Why the host's use is not known; empty: it is. For the end of a recording.
  [[nodiscard]] std::vector<Unavailable> unavailable() const;

 private:
  struct Client {
    std::size_t card = 0;
    std::vector<DrmEngine> engines;  // as last seen
    std::size_t target = 0;          // none: targets_
    bool seen = false;
  };
  struct Process {
    std::uint64_t identity = 0;
    unsigned rest = 0;  // looks until it is looked at again: it had no client
    bool seen = false;
  };
  using Key = std::pair<std::size_t, std::string>;  // card and client

  void look_at(const ListedProcess& process, Instant now);
  void take(const ListedProcess& process, const std::string& descriptor, const DrmClient& seen, Instant now);
  [[nodiscard]] std::size_t target_of(std::int64_t pid);
  [[nodiscard]] std::uint64_t used_ns(const Client& before, const DrmClient& now, Duration between) const;

  Machine& machine_;
  std::vector<DrmDomain> cards_;
  std::size_t targets_ = 0;
  std::vector<Channel> channels_;  // per card: host, then each target
  std::int64_t command_pid_ = 0;
  std::size_t command_target_ = 0;
  std::vector<std::pair<std::int64_t, std::size_t>> members_;
  std::map<Key, Client> clients_;
  std::map<std::int64_t, Process> processes_;
  std::vector<ListedProcess> listed_;
  Instant last_;
  bool first_ = true;
  std::size_t closed_ = 0;  // processes whose descriptors could not be read in the last look
  std::vector<std::uint64_t> totals_;

  mutable std::mutex mutex_;  // what follows
  std::vector<std::uint64_t> shown_;
  bool complete_ = false;
  std::size_t most_closed_ = 0;
};

}  // namespace prony
