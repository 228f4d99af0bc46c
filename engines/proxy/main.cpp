// prony-proxy: stands in front of a server of language models and passes everything on. `prony proxy` starts it and
// reads what it saw; by itself it is a plain relay.
//   prony-proxy --to URL [--listen HOST:PORT] [--ca-file FILE] [--most-connections N] [--response-header]
// Lines on standard output and input: docs/proxy.md.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>

#include "proxy.hpp"

namespace {

using prony_proxy::ProxySettings;

std::string number(std::string_view text, std::size_t most, std::size_t& value) {
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || end != text.data() + text.size() || value > most)
    return "no number: " + std::string(text);
  return {};
}

// Empty: all words were understood.
std::string parse(int count, char** words, ProxySettings& settings) {
  bool to = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--response-header") {
      settings.response_header = true;
      continue;
    }
    if (i + 1 >= count) return word + " needs a value";
    const std::string value = words[++i];
    if (word == "--to" || word == "--listen") {
      const auto url = prony_http::parse_url(value, word == "--to" ? 0 : 1);
      const bool without_port = word == "--listen" && value.ends_with(":0");
      const auto any = without_port ? prony_http::parse_url(value.substr(0, value.size() - 1) + "1") : url;
      if (!any) return word + ": " + prony_http::no_address(value);
      if (word == "--to") {
        settings.to = *url;
        to = true;
      } else {
        settings.listen_host = any->host;
        settings.listen_port = without_port ? 0 : any->port;
      }
    } else if (word == "--ca-file") {
      settings.ca_file = value;
    } else if (word == "--most-connections") {
      if (auto trouble = number(value, 1'000'000, settings.most_links); !trouble.empty()) return trouble;
    } else {
      return "unknown word '" + prony_http::one_line(word, 40) + "'";
    }
  }
  return to ? std::string() : "--to is missing";
}

}  // namespace

int main(int count, char** words) {
  ProxySettings settings;
  const std::string trouble = parse(count, words, settings);
  if (!trouble.empty()) {
    std::fprintf(stderr, "prony-proxy: %s\n", trouble.c_str());
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    // Two descriptors a connection, and some for itself.
    const std::size_t room = files.rlim_cur > 100 ? (static_cast<std::size_t>(files.rlim_cur) - 64) / 2 : 16;
    if (settings.most_links > room) settings.most_links = room;
  }
  // Whatever a library prints goes to standard error: the meter reads standard output.
  const int out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  prony_proxy::Proxy proxy(std::move(settings), STDIN_FILENO, out);
  if (auto opened = proxy.open(); !opened) {
    const prony_http::json told = {{"type", "error"},
                                   {"error", {{"code", opened.error().code}, {"message", opened.error().message}}}};
    const std::string line = prony_http::dump(told) + "\n";
    [[maybe_unused]] const ssize_t wrote = ::write(out, line.data(), line.size());
    return 1;
  }
  proxy.run();
  return 0;
}
