#include "app/http_engine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/beside.hpp"
#include "app/utilisation_options.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr std::string_view worker_program = "prony-engine-http";

struct EngineRow {
  std::string_view name, what;
};
constexpr std::array<EngineRow, 4> engine_rows{{
    {"ollama", "Ollama's own interface; port 11434, or OLLAMA_HOST"},
    {"hailo-ollama", "the same as far as Hailo's server speaks it; port 8000"},
    {"llama-server", "llama.cpp's server, /completion; port 8080"},
    {"openai", "vLLM, SGLang, LM Studio, …: /v1; ports 8000, 30000, 1234, 8080, 11434"},
}};

// Everything that the child writes until it closes its end; false: it took too long.
bool read_all(int fd, std::string& text, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    if (text.size() < 65536) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string http_engine_names() {
  std::string names;
  for (const EngineRow& row : engine_rows) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

bool is_http_engine(std::string_view engine) noexcept {
  return std::ranges::any_of(engine_rows, [&](const EngineRow& row) { return row.name == engine; });
}

void add_http_engine_options(CLI::App& command, HttpEngineOptions& options, Settings& settings) {
  const auto rare = [&](CLI::Option* option, const char* name, const std::string& otherwise) {
    option->group("");
    settings.watch(name, option, otherwise);
  };
  rare(command.add_option("--url", options.url), "url", "");
  rare(command.add_option("--api-key-file", options.api_key_file), "api-key-file", "");
  rare(command.add_option("--ca-file", options.ca_file), "ca-file", "");
  rare(command.add_option("--keep-alive", options.keep_alive), "keep-alive", "");
  rare(command.add_flag("--completions", options.completions), "completions", "false");
  rare(command.add_flag("--pull", options.pull), "pull", "false");
}

std::vector<std::string> http_engine_config_keys() {
  return {"url", "api-key-file", "ca-file", "keep-alive", "completions", "pull"};
}

std::string engines_help_text() {
  std::string text =
      "Engines of `prony llm`\n\n  prony llm --engine ollama --model NAME\n"
      "  prony llm --engine openai --url http://127.0.0.1:8000 --model NAME --api-key-file key.txt\n\n";
  const auto line = [&](std::string left, std::string_view help) {
    left.resize(std::max<std::size_t>(left.size() + 2, 24), ' ');
    text += left + std::string(help) + "\n";
  };
  line("  llama", "llama.cpp in a worker process of Prony's: --model is a GGUF file");
  for (const EngineRow& row : engine_rows) line("  " + std::string(row.name), row.what);
  text += "\nOf servers\n\n";
  line("  --url URL", "http://HOST:PORT or https://…; default: looked for on 127.0.0.1");
  line("  --api-key-file FILE", "Its first line goes out as \"Authorization: Bearer …\"");
  line("  --ca-file FILE", "https: certificates of a private authority");
  line("  --completions", "openai: /v1/completions with the bare prompt, in place of /v1/chat/completions");
  line("  --keep-alive TIME", "ollama: how long the model stays loaded after a request (30m, -1: for ever)");
  line("  --pull", "ollama: fetch the model if the server does not have it");
  return text + utilisation_help_text() +
         "\nA server on this machine is found by its port and is a target of its own: requests are charged from its\n"
         "process tree, not from the client's. One on another host has times and tokens, and no joules. What each "
         "engine\n"
         "tells, and what is absent without it: docs/engines/\n";
}

Result<std::vector<std::string>> http_worker_command(const std::string& engine, const HttpEngineOptions& options) {
  const auto program = find_beside_or_in_path(worker_program);
  if (!program)
    return fail(ErrorCode::absent, "the worker of this engine is not installed", std::string(worker_program),
                "It is built and installed beside prony:  make build");
  std::vector<std::string> command = {*program, "--dialect", engine};
  const auto add = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    command.emplace_back(name);
    command.push_back(value);
  };
  if (!options.api_key_file.empty() && ::access(options.api_key_file.c_str(), R_OK) != 0)
    return Unexpected<Error>(error_from_errno(errno, options.api_key_file, "cannot read the key"));
  add("--api-key-file", options.api_key_file);
  add("--ca-file", options.ca_file);
  add("--keep-alive", options.keep_alive);
  if (options.completions) command.emplace_back("--completions");
  if (options.pull) command.emplace_back("--pull");
  return command;
}

Result<FoundServer> find_http_server(const std::vector<std::string>& command, const std::string& url) {
  SpawnOptions spawn_options;
  spawn_options.arguments = command;
  spawn_options.arguments.emplace_back("--find");
  if (!url.empty()) spawn_options.arguments.insert(spawn_options.arguments.end(), {"--url", url});
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return Unexpected<Error>(error_from_errno(errno, command.front(), "cannot connect to the worker"));
  const Fd from(ends[0]);
  Fd to(ends[1]);
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  spawn_options.stdin_fd = nothing.get();
  spawn_options.stdout_fd = to.get();
  auto child = spawn(spawn_options);
  if (!child) return Unexpected<Error>(child.error());
  to.reset();
  std::string text;
  const bool in_time = read_all(from.get(), text, std::chrono::steady_clock::now() + std::chrono::seconds(40));
  if (!in_time) child->signal(SIGKILL);
  (void)child->wait();
  const auto told = nlohmann::json::parse(text, nullptr, false);
  const std::string where = url.empty() ? "--url" : url;
  if (!told.is_object())
    return fail(ErrorCode::unavailable,
                in_time ? "the worker could not look for the server" : "no server answered in 40 s", where,
                "What it said is above.");
  if (const auto error = told.find("error"); error != told.end()) {
    const bool usage = error->value("code", "") == "usage";
    return fail(usage ? ErrorCode::usage : ErrorCode::unavailable, printable(error->value("message", ""), 600), where,
                "Start the server, or name where it is:  --url http://HOST:PORT");
  }
  FoundServer found;
  found.url = told.value("url", "");
  found.version = told.value("version", "");
  found.elsewhere = told.value("elsewhere", "");
  found.port = told.value("port", std::uint16_t{0});
  return found;
}

}  // namespace prony::app
