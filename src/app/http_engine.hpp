// Engines behind HTTP: their options, the worker that speaks to them, and where the server is. All network traffic is
// the worker's (prony-engine-http): here it is only started, once to look for the server, then as the workload. Thread
// promise: one thread. Errors: usage, absent (the worker is not installed), unavailable (no server, with what was
// tried), all in words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/settings.hpp"
#include "base/result.hpp"

namespace prony::app {

struct HttpEngineOptions {
  std::string url;           // empty: looked for on its usual ports
  std::string api_key_file;  // its first line; empty: no key
  std::string ca_file;       // of a private authority
  std::string keep_alive;    // ollama's; empty: the server's own
  bool completions = false;  // openai: /v1/completions in place of chat
  bool pull = false;         // ollama: fetch the model if it is not there
  bool cold = false;         // ollama: the model leaves the server's memory before it is loaded
};

struct FoundServer {
  std::string url, version;
  std::string elsewhere;  // the address of the host that it is on, if not this one
  std::uint16_t port = 0;
};

// Names of engines behind HTTP, "ollama, …": for messages and help.
[[nodiscard]] std::string http_engine_names();
[[nodiscard]] bool is_http_engine(std::string_view engine) noexcept;
// Not in --help, which has to fit a screen: they stand on the page `prony help engines`.
void add_http_engine_options(CLI::App& command, HttpEngineOptions& options, Settings& settings);
[[nodiscard]] std::string engines_help_text();
[[nodiscard]] std::vector<std::string> http_engine_config_keys();

// The worker's command line, but for --url.
[[nodiscard]] Result<std::vector<std::string>> http_worker_command(const std::string& engine,
                                                                   const HttpEngineOptions& options);
// Runs it once with --find. Waits for at most 40 s.
[[nodiscard]] Result<FoundServer> find_http_server(const std::vector<std::string>& command, const std::string& url);

}  // namespace prony::app
