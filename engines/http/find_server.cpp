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

// OLLAMA_HOST is what Ollama's own client obeys (envconfig/config.go): with a scheme its port is that scheme's, without
// a host it is this one. 0.0.0.0 is where a server listens, not where one calls. What is no address is not passed over:
// another server would be asked than the one that was named.
Fallible<std::optional<Url>> from_environment(Dialect& dialect) {
  const char* named = dialect.name() == "ollama" ? std::getenv("OLLAMA_HOST") : nullptr;
  std::string_view host = named == nullptr ? "" : named;
  constexpr std::string_view around = " \t\"'";
  while (!host.empty() && around.find(host.front()) != std::string_view::npos) host.remove_prefix(1);
  while (!host.empty() && around.find(host.back()) != std::string_view::npos) host.remove_suffix(1);
  if (host.empty()) return std::optional<Url>();
  const bool scheme = host.find("://") != std::string_view::npos;
  auto url = parse_url((host.front() == ':' ? "127.0.0.1" : "") + std::string(host), scheme ? 0 : ollama_ports.front());
  if (!url) return failed("usage", "OLLAMA_HOST: " + no_address(host));
  if (url->host == "0.0.0.0" || url->host == "::") url->host = "127.0.0.1";
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
  const auto named = from_environment(dialect);
  if (!named) return tl::unexpected<Failure>(named.error());
  if (*named) return look(**named, dialect, settings, input);
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
