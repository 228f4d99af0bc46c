#include "find_server.hpp"

#include <array>
#include <cstdlib>

namespace prony_http {

namespace {

constexpr std::array<std::uint16_t, 1> ollama_ports{11434}, hailo_ports{8000}, llama_server_ports{8080};
constexpr std::array<std::uint16_t, 5> openai_ports{8000, 30000, 1234, 8080, 11434};

Fallible<Found> look(const Url& url, Dialect& dialect, ServerSettings settings, Input& input) {
  settings.url = url;
  Server server(settings, input);
  auto version = dialect.greet(server.caller());
  if (!version) return tl::unexpected<Failure>(version.error());
  return Found{url, *version};
}

// OLLAMA_HOST is what Ollama's own client obeys; 0.0.0.0 is where a server listens, not where one calls.
std::optional<Url> from_environment(Dialect& dialect) {
  const char* host = dialect.name() == "ollama" ? std::getenv("OLLAMA_HOST") : nullptr;
  if (host == nullptr || *host == '\0') return std::nullopt;
  auto url = parse_url(host, ollama_ports.front());
  if (url && (url->host == "0.0.0.0" || url->host == "::")) url->host = "127.0.0.1";
  return url;
}

}  // namespace

std::span<const std::uint16_t> usual_ports(std::string_view dialect) noexcept {
  if (dialect == "ollama") return ollama_ports;
  if (dialect == "hailo-ollama") return hailo_ports;
  if (dialect == "llama-server") return llama_server_ports;
  return openai_ports;
}

Fallible<Found> find_server(const std::string& address, Dialect& dialect, const ServerSettings& settings,
                            Input& input) {
  if (!address.empty()) {
    auto url = parse_url(address, address.find("://") == std::string::npos ? usual_ports(dialect.name()).front() : 0);
    if (!url) return failed("usage", no_address(address));
    if (dialect.name() == "openai" && url->base.ends_with("/v1")) url->base.resize(url->base.size() - 3);
    return look(*url, dialect, settings, input);
  }
  if (const auto url = from_environment(dialect)) return look(*url, dialect, settings, input);
  std::string tried;
  for (const std::uint16_t port : usual_ports(dialect.name())) {
    Url url;
    url.host = "127.0.0.1";
    url.port = port;
    auto found = look(url, dialect, settings, input);
    if (found || found.error().code == "denied" || found.error().code == "cancelled") return found;
    tried += (tried.empty() ? "" : "; ") + found.error().message;
  }
  return failed("unreachable", "no server was found: " + tried + " (name it with --url)");
}

}  // namespace prony_http
