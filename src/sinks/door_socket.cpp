#include "sinks/door_socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr int waiting_connections = 1024;  // a thousand clients may come at once

// "example: address already in use".
Unexpected<Error> not_bound(const std::string& where, const std::string& fix) {
  const int number = errno;
  Error error = error_from_errno(number, where);
  if (number == EADDRINUSE) {
    error = {ErrorCode::usage, "somebody listens there already", where, fix};
  } else if (number == EADDRNOTAVAIL) {
    error = {ErrorCode::usage, "this machine has no such address", where, "`ip address` lists those it has."};
  }
  return Unexpected<Error>(std::move(error));
}

}  // namespace

bool DoorAddress::loopback() const { return address.starts_with("127.") || address == "::1"; }

std::string DoorAddress::text() const {
  const bool v6 = address.find(':') != std::string::npos;
  return (address.empty() ? "*" : v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<DoorAddress> parse_door_address(std::string_view text, std::uint16_t port, std::string_view option) {
  DoorAddress door{"127.0.0.1", port};
  const auto wrong = [&] {
    return fail(ErrorCode::usage, "'" + printable(text, 60) + "' is no address to listen on", std::string(option),
                "Write PORT, ADDRESS:PORT or [V6]:PORT with numbers; :PORT is every address of this machine");
  };
  if (text.empty()) return door;
  const std::size_t colon = text.rfind(':');
  const std::string_view digits = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const auto number = parse_u64(digits);
  if (!number || *number > 65535 || digits.empty() || digits.front() < '0' || digits.front() > '9') return wrong();
  door.port = static_cast<std::uint16_t>(*number);
  if (colon == std::string_view::npos) return door;
  std::string_view host = text.substr(0, colon);
  if (host == "localhost") return door;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::array<unsigned char, 16> bytes{};
  door.address = std::string(host);
  const bool numeric = host.empty() || ::inet_pton(AF_INET, door.address.c_str(), bytes.data()) == 1 ||
                       ::inet_pton(AF_INET6, door.address.c_str(), bytes.data()) == 1;
  if (!numeric) return wrong();
  return door;
}

namespace {

// SO_REUSEADDR: taken again at once after a stop, while connections of the one before fade away. Two listeners at once
// it does not allow. Errors leave errno.
std::optional<Fd> bound(const addrinfo& at, bool both_families) {
  Fd socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return std::nullopt;
  const int on = 1, off = 0;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (both_families) (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), at.ai_addr, at.ai_addrlen) != 0 || ::listen(socket.get(), waiting_connections) != 0) {
    const int number = errno;
    socket.reset();
    errno = number;
    return std::nullopt;
  }
  return socket;
}

}  // namespace

Result<Fd> listen_on(const DoorAddress& door, const std::string& fix) {
  const bool every = door.address.empty();
  const std::string where = (every ? "every address" : door.address) + ":" + std::to_string(door.port);
  // Every address: of v6, which has v4 in it, and of v4 alone where this kernel has no v6.
  for (const int family : every ? std::vector{AF_INET6, AF_INET} : std::vector{AF_UNSPEC}) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_family = family;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(door.port);
    if (::getaddrinfo(every ? nullptr : door.address.c_str(), port.c_str(), &hints, &found) != 0)
      return fail(ErrorCode::usage, "this is no numeric address", where, "Write for example 127.0.0.1 or [::1]");
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
    if (auto socket = bound(*found, every && family == AF_INET6)) return std::move(*socket);
    if (family != AF_INET6 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) break;
  }
  return not_bound(where, fix);
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port)
                                       : ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

std::string peer_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<sockaddr_in*>(&address)->sin_addr;
    return {reinterpret_cast<const char*>(&v4), sizeof v4};
  }
  if (address.ss_family != AF_INET6) return {};
  const auto& v6 = reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return {reinterpret_cast<const char*>(&v6) + 12, 4};
  return {reinterpret_cast<const char*>(&v6), 8};
}

}  // namespace prony
