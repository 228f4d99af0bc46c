// Url: where a server is: "http://127.0.0.1:8080/base", "https://[::1]:8443", "localhost:11434". Pure.
// Errors: nullopt: not an address that is understood here. Source: RFC 3986 (§3), http and https alone, no user part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prony_http {

struct Url {
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 80;
  std::string base;  // "" or "/v1": no slash at its end

  [[nodiscard]] std::string authority() const;  // "[::1]:8080", as the Host header wants it
  [[nodiscard]] std::string text() const;       // "http://[::1]:8080/base"
};

// Without a scheme it is http; without a port, `port` or the scheme's own (80, 443) where that is 0.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text, std::uint16_t port = 0);
// What to say of a text that is none. Where a name, a password or a key may stand in it, it is not repeated.
[[nodiscard]] std::string no_address(std::string_view text);

}  // namespace prony_http
