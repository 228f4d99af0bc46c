// prony-engine-http: a language model behind HTTP as a worker of docs/worker-protocol.md. It is the client and nothing
// else: its CPU time is neither the meter's nor the engine's.
//   prony-engine-http --dialect ollama|hailo-ollama|llama-server|openai [--url URL] [--api-key-file FILE] …
//   prony-engine-http … --find     no worker: says as one line of JSON where the server is, and ends
#include <prony/prony.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "worker.hpp"

namespace prony_http {
namespace {

struct CommandLine {
  std::string dialect, api_key_file;
  WorkerSettings settings;
  bool completions = false, find = false;
};

// Empty: all words were understood.
std::string parse(int count, char** words, CommandLine& line) {
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto value = [&](std::string& target) { target = ++i < count ? words[i] : ""; };
    std::string seconds;
    if (word == "--dialect")
      value(line.dialect);
    else if (word == "--url")
      value(line.settings.address);
    else if (word == "--api-key-file")
      value(line.api_key_file);
    else if (word == "--ca-file")
      value(line.settings.server.ca_file);
    else if (word == "--keep-alive")
      value(line.settings.keep_alive);
    else if (word == "--timeout-s")
      value(seconds);
    else if (word == "--completions")
      line.completions = true;
    else if (word == "--pull")
      line.settings.pull = true;
    else if (word == "--cold")
      line.settings.cold = true;
    else if (word == "--find")
      line.find = true;
    else
      return "unknown word '" + std::string(word) + "'";
    if (i >= count) return std::string(word) + " needs a value";
    std::int64_t whole_s = 0;
    if (!seconds.empty()) {
      const auto [end, trouble] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), whole_s);
      if (trouble != std::errc() || *end != '\0' || whole_s < 1 || whole_s > 1'000'000)
        return "--timeout-s needs seconds";
      line.settings.timeout_ns = whole_s * 1'000'000'000;
    }
  }
  return {};
}

// One line, without what would end a header.
std::string read_key(const std::string& path, std::string& key) {
  std::ifstream file(path);
  if (!file) return path + ": " + std::strerror(errno);
  std::getline(file, key);
  while (!key.empty() && (key.back() == '\r' || key.back() == ' ' || key.back() == '\t')) key.pop_back();
  for (const char c : key)
    if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f)
      return path + ": its first line is no key";
  return key.empty() ? path + ": its first line is empty" : std::string();
}

std::unique_ptr<Dialect> dialect_named(const CommandLine& line) {
  if (line.dialect == "ollama" || line.dialect == "hailo-ollama") return make_ollama(line.dialect == "hailo-ollama");
  if (line.dialect == "llama-server") return make_llama_server();
  if (line.dialect == "openai") return make_openai(!line.completions);
  return nullptr;
}

int find(const CommandLine& line, Dialect& dialect, Input& input) {
  const auto found = find_server(line.settings.address, dialect, line.settings.server, input);
  json told;
  if (!found) {
    const std::string words = without_secrets(found.error().message, {&line.settings.server.api_key, 1});
    told = {{"error", {{"code", found.error().code}, {"message", words}}}};
  } else {
    told = {{"url", found->url.text()}, {"port", found->url.port}, {"version", found->version}};
    const auto connection =
        connect_to(found->url, line.settings.server.ca_file, line.settings.server.connect_timeout_ns);
    if (connection) told["elsewhere"] = elsewhere((*connection)->fd());
  }
  std::puts(dump(told).c_str());
  std::fflush(stdout);
  return found ? 0 : 1;
}

}  // namespace
}  // namespace prony_http

int main(int count, char** words) {
  using namespace prony_http;
  CommandLine line;
  std::string trouble = parse(count, words, line);
  if (trouble.empty() && !line.api_key_file.empty())
    trouble = read_key(line.api_key_file, line.settings.server.api_key);
  auto dialect = dialect_named(line);
  if (trouble.empty() && !dialect) trouble = "--dialect must be ollama, hailo-ollama, llama-server or openai";
  if (!trouble.empty()) {
    std::fprintf(stderr, "prony-engine-http: %s\n", trouble.c_str());
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};  // thousands of streams are thousands of sockets; the usual soft limit is 1024
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (line.find) {
    Input nobody(-1);
    return find(line, *dialect, nobody);
  }
  // Whatever a library prints goes to standard error: the protocol has standard output for itself.
  const int out = ::dup(STDOUT_FILENO);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  // Ctrl-C reaches the whole process group; the driver then cancels, and spans get their ends.
  if (::isatty(STDIN_FILENO) == 0) std::signal(SIGINT, SIG_IGN);
  (void)keep_kernel_stamps_on();  // until the process ends
  (void)prony_open(nullptr);      // nobody recording is no failure
  Input input(STDIN_FILENO);
  Worker worker(std::move(line.settings), std::move(dialect), input, out);
  const int status = worker.run();
  prony_close();
  return status;
}
