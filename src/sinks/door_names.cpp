#include "sinks/door_names.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

std::string small_letters(std::string_view text) {
  std::string small(text);
  for (char& c : small)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return small;
}

enum class Address { none, loopback, other };

// "127.0.0.1", "::1", "10.0.0.7": as numbers alone; "127.evil.org" is a name.
Address address_of(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1)
    return bytes[0] == 127 ? Address::loopback : Address::other;
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return Address::none;
  const bool one =
      bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char b) { return b == 0; });
  return one ? Address::loopback : Address::other;
}

}  // namespace

std::optional<std::string> asked_host(std::string_view authority) {
  authority = trim(authority);
  std::string_view host, port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    host = authority.substr(0, colon);
    port = authority.substr(colon);
    if (host.ends_with('.')) host.remove_suffix(1);
  }
  if (!port.empty() &&
      (port.front() != ':' || port.substr(1).find_first_not_of("0123456789") != std::string_view::npos))
    return std::nullopt;
  if (host.empty() || host.find_first_of(" \t/\\@?#") != std::string_view::npos) return std::nullopt;
  return small_letters(host);
}

bool DoorNames::answer_to(std::string_view host) const {
  if (std::ranges::find(more, "*") != more.end() || (!loopback && more.empty())) return true;
  const auto name = asked_host(host);
  if (!name) return false;
  const Address address = address_of(*name);
  if (address != Address::none) return address == Address::loopback || !loopback;
  return *name == "localhost" || (!machine.empty() && *name == machine) ||
         std::ranges::any_of(more, [&](const std::string& one) { return asked_host(one) == name; });
}

bool DoorNames::foreign(std::string_view origin, std::string_view host) const {
  if (std::ranges::find(more, "*") != more.end()) return false;
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;  // "null", or what no browser sends
  const auto from = asked_host(origin.substr(scheme + 3));
  if (!from) return true;
  const bool own = *from == "localhost" || address_of(*from) == Address::loopback;
  return !(own && loopback) && from != asked_host(host);
}

std::string own_host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? small_letters(name.data()) : std::string();
}

}  // namespace prony
