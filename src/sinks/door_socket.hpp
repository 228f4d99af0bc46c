// Where an HttpDoor listens: the address in words, and the socket. Thread promise: plain values; any thread. Errors:
// usage (no address, or somebody listens there already), denied (a port below 1024). Source: ip(7), ipv6(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

// "9788", "127.0.0.1:9788", "[::1]:9788", ":9788" (every address), "localhost:9788"; "": 127.0.0.1 and `port`.
struct DoorAddress {
  std::string address;  // numeric, v4 or v6; "": every one
  std::uint16_t port = 0;
  [[nodiscard]] bool loopback() const;
  // "127.0.0.1:9788", "[::1]:9788", "*:9788".
  [[nodiscard]] std::string text() const;
};
// `option` is named by the error.
[[nodiscard]] Result<DoorAddress> parse_door_address(std::string_view text, std::uint16_t port,
                                                     std::string_view option = "--sink");

// `fix`: what to do where somebody listens already.
[[nodiscard]] Result<Fd> listen_on(const DoorAddress& door, const std::string& fix);
[[nodiscard]] std::uint16_t port_of(int socket);
// Who is at the other end, as a key of so many bytes: the address, of v6 the first half (a host has all of the rest).
[[nodiscard]] std::string peer_of(int socket);

}  // namespace prony
