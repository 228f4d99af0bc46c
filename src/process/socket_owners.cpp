#include "process/socket_owners.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace prony {

namespace {

std::uint64_t number(std::string_view text, int base) noexcept {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? value : 0;
}

// "0100007F:1F90" → 0x1F90; 0: no address.
std::uint64_t port_of(std::string_view address) noexcept {
  const auto colon = address.rfind(':');
  return colon == std::string_view::npos ? 0 : number(address.substr(colon + 1), 16);
}

}  // namespace

void append_listeners(std::string_view text, bool udp, std::uint16_t port, std::vector<std::uint64_t>& inodes) {
  for_each_line(text, [&](std::string_view line) {
    next_word(line);  // slot
    const auto local = next_word(line), remote = next_word(line), state = next_word(line);
    const std::string_view waiting = udp ? "07" : "0A";
    if (state != waiting || port_of(local) != port || port_of(remote) != 0) return;
    for (int skipped = 0; skipped < 5; ++skipped) next_word(line);  // queues, timer, retransmits, uid, timeout
    if (const auto inode = number(next_word(line), 10); inode != 0) inodes.push_back(inode);
  });
}

bool SocketOwners::search_in(std::int64_t pid, Known& known) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const auto names = machine_.list(folder);
  if (!names) return names.error().code != ErrorCode::denied;
  for (const std::string& name : *names) {
    const auto target = machine_.read_link(folder + "/" + name);
    if (!target || !target->starts_with("socket:[") || !target->ends_with("]")) continue;
    const auto inode = number(std::string_view(*target).substr(8, target->size() - 9), 10);
    if (!std::binary_search(known.inodes.begin(), known.inodes.end(), inode)) continue;
    known.pids.push_back(pid);
    return true;
  }
  return true;
}

void SocketOwners::search(const std::string& network, std::span<const Candidate> candidates, Known& known) {
  known.pids.clear();
  known.closed = 0;
  for (const Candidate& candidate : candidates)
    if (candidate.network == network && !search_in(candidate.pid, known)) ++known.closed;
}

SocketOwners::Owners SocketOwners::find(std::uint16_t port, std::span<const Candidate> candidates) {
  std::map<std::string, std::pair<std::int64_t, std::size_t>> namespaces;  // → one process in it, and how many
  for (const Candidate& candidate : candidates) {
    auto& [pid, count] = namespaces.try_emplace(candidate.network, candidate.pid, 0).first->second;
    ++count;
  }
  Owners owners;
  for (const auto& [network, sample] : namespaces) {
    // Processes whose namespace may not be read are looked for in our own.
    const std::string folder = network.empty() ? "/proc/net/" : "/proc/" + std::to_string(sample.first) + "/net/";
    std::vector<std::uint64_t> inodes;
    for (const char* name : {"tcp", "tcp6", "udp", "udp6"})
      if (const auto text = machine_.read_text(folder + name)) append_listeners(*text, name[0] == 'u', port, inodes);
    std::sort(inodes.begin(), inodes.end());
    Known& known = known_[{network, port}];
    const auto gone = [&](std::int64_t pid) {
      return std::none_of(candidates.begin(), candidates.end(), [pid](const auto& c) { return c.pid == pid; });
    };
    // The same sockets and owners as at the last call need no new search; nobody found may mean a late exec or fork.
    const bool again = inodes != known.inodes || std::any_of(known.pids.begin(), known.pids.end(), gone) ||
                       (known.pids.empty() && sample.second != known.candidates);
    known.inodes = std::move(inodes);
    known.candidates = sample.second;
    if (known.inodes.empty()) {
      known.pids.clear();
      continue;
    }
    owners.listening = true;
    if (again) search(network, candidates, known);
    owners.pids.insert(owners.pids.end(), known.pids.begin(), known.pids.end());
    if (known.pids.empty()) owners.closed += known.closed;
  }
  std::sort(owners.pids.begin(), owners.pids.end());
  owners.pids.erase(std::unique(owners.pids.begin(), owners.pids.end()), owners.pids.end());
  return owners;
}

}  // namespace prony
