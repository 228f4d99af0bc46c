// Where a server of a kind usually listens on this machine, and which of those places has one.
// Thread promise: one thread. Errors: "unreachable" with every place that was tried and what it said.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server.hpp"

namespace prony_http {

// Ports in the order in which they are tried; sources: the servers' documentation (Ollama 11434; hailo-ollama 8000;
// llama-server 8080; vLLM 8000, SGLang 30000, LM Studio 1234, llama-server 8080, Ollama's /v1 11434).
[[nodiscard]] std::span<const std::uint16_t> usual_ports(std::string_view dialect) noexcept;

struct Found {
  Url url;
  std::string version;  // "" if the server tells none
};
// `address` empty: OLLAMA_HOST for ollama, then the usual ports on 127.0.0.1. Otherwise that one alone.
[[nodiscard]] Fallible<Found> find_server(const std::string& address, Dialect& dialect, const ServerSettings& settings,
                                          Input& input);

}  // namespace prony_http
