#include "app/http_engine.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/ask_program.hpp"
#include "app/beside.hpp"
#include "app/transformers_engine.hpp"
#include "app/utilisation_options.hpp"
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
  rare(command.add_flag("--cold", options.cold), "cold", "false");
}

std::vector<std::string> http_engine_config_keys() {
  return {"url", "api-key-file", "ca-file", "keep-alive", "completions", "pull", "cold"};
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
  line("  transformers", "Hugging Face's, in a worker process with PyTorch: --model is a folder");
  for (const EngineRow& row : engine_rows) line("  " + std::string(row.name), row.what);
  text += "\nOf servers\n\n";
  line("  --url URL", "http://HOST:PORT or https://…; default: looked for on 127.0.0.1");
  line("  --api-key-file FILE", "Its first line goes out as \"Authorization: Bearer …\"");
  line("  --ca-file FILE", "https: certificates of a private authority");
  line("  --completions", "openai: /v1/completions with the bare prompt, in place of /v1/chat/completions");
  line("  --keep-alive TIME", "ollama: how long the model stays loaded after a request (30m, -1: for ever)");
  line("  --pull", "ollama: fetch the model if the server does not have it");
  line("  --cold", "ollama: the model leaves the server's memory first, and is loaded anew");
  text += transformers_help_text();
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
  if (options.cold) command.emplace_back("--cold");
  return command;
}

Result<FoundServer> find_http_server(const std::vector<std::string>& command, const std::string& url) {
  std::vector<std::string> words = command;
  words.emplace_back("--find");
  if (!url.empty()) words.insert(words.end(), {"--url", url});
  const auto text = ask_program(words, std::chrono::seconds(40));
  if (!text && text.error().code != ErrorCode::unavailable) return Unexpected<Error>(text.error());
  const auto told = nlohmann::json::parse(text ? *text : std::string(), nullptr, false);
  // A name, a password or a key in it is not repeated.
  const std::string where = url.empty() || url.find_first_of("@?#") != std::string::npos ? "--url" : url;
  if (!told.is_object())
    return fail(ErrorCode::unavailable,
                text ? "the worker could not look for the server" : "no server answered in 40 s", where,
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
