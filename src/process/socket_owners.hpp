// SocketOwners: which processes hold the sockets that listen on a port: /proc/net/{tcp,tcp6,udp,udp6} name the sockets
// by inode, /proc/PID/fd/* lead to them. Each network namespace has its own list; a container's is read through one of
// its processes. Thread promise: one thread. The Machine must outlive it.
// Source: proc(5), Documentation/networking/proc_net_tcp.rst.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

// Adds the inodes of the sockets in `text` that wait on `port`: in the state LISTEN, or for UDP bound and unconnected.
void append_listeners(std::string_view text, bool udp, std::uint16_t port, std::vector<std::uint64_t>& inodes);

class SocketOwners {
 public:
  explicit SocketOwners(Machine& machine) : machine_(machine) {}

  struct Candidate {
    std::int64_t pid = 0;
    std::string network;  // where /proc/PID/ns/net leads to; "": may not be read
  };
  struct Owners {
    std::vector<std::int64_t> pids;  // ascending
    bool listening = false;          // somebody does, whether or not it could be found
    std::size_t closed = 0;          // candidates whose descriptors may not be looked at, where nobody was found
  };
  // Slow: looks at the descriptors of every candidate in a namespace where a listener is not known yet.
  [[nodiscard]] Owners find(std::uint16_t port, std::span<const Candidate> candidates);

 private:
  struct Known {
    std::vector<std::uint64_t> inodes;
    std::vector<std::int64_t> pids;
    std::size_t candidates = 0;
    std::size_t closed = 0;
  };
  void search(const std::string& network, std::span<const Candidate> candidates, Known& known);
  // Adds it if it holds one of the sockets. False: it may not be looked into.
  bool search_in(std::int64_t pid, Known& known);

  Machine& machine_;
  std::map<std::pair<std::string, std::uint16_t>, Known> known_;  // by namespace and port
};

}  // namespace prony
