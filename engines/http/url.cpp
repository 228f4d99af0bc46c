#include "url.hpp"

#include <algorithm>
#include <charconv>

namespace prony_http {

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return name + ":" + std::to_string(port);
}

std::string Url::text() const { return (tls ? "https://" : "http://") + authority() + base; }

std::optional<Url> parse_url(std::string_view text, std::uint16_t port) {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (text.find("://") != std::string_view::npos) {
    return std::nullopt;
  }
  // No blank or control character may come into a request line.
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }))
    return std::nullopt;
  const std::size_t slash = text.find_first_of("/?#");
  std::string_view place = text.substr(0, slash);
  if (slash != std::string_view::npos) {
    if (text[slash] != '/' || text.find_first_of("?#") != std::string_view::npos) return std::nullopt;
    url.base = text.substr(slash);
    while (!url.base.empty() && url.base.back() == '/') url.base.pop_back();
  }
  if (place.find('@') != std::string_view::npos) return std::nullopt;
  std::string_view number;
  bool has_number = false;
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    url.host = place.substr(1, end - 1);
    place.remove_prefix(end + 1);
    if (!place.empty() && place.front() != ':') return std::nullopt;
    has_number = !place.empty();
    if (has_number) number = place.substr(1);
  } else {
    const std::size_t colon = place.find(':');
    has_number = colon != std::string_view::npos;
    url.host = place.substr(0, colon);
    if (has_number) number = place.substr(colon + 1);
  }
  if (url.host.empty()) return std::nullopt;
  url.port = port != 0 ? port : url.tls ? 443 : 80;
  if (has_number) {
    const auto [end, trouble] = std::from_chars(number.data(), number.data() + number.size(), url.port);
    if (trouble != std::errc() || end != number.data() + number.size() || url.port == 0) return std::nullopt;
  }
  return url;
}

std::string no_address(std::string_view text) {
  const std::string write = ": write http://HOST:PORT";
  if (text.find('@') != std::string_view::npos) return "a name or password does not belong into an address" + write;
  if (text.find_first_of("?#") != std::string_view::npos)
    return "what follows a \"?\" or \"#\" does not belong into an address" + write;
  std::string shown(text.substr(0, 80));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = ' ';
  return "'" + shown + "' is no address" + write;
}

}  // namespace prony_http
