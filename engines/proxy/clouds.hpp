// Clouds: which models an Ollama server does not run itself but hands on to another host: asked of the server
// (/api/tags, /api/show), once a model, on a thread of its own, so that no traffic waits for it. A server that is no
// Ollama has none. Thread promise: of(), want() and fd() from the owner's thread. Ownership: owns its thread; ends with
// the call in hand. Errors: none: what is not known within patience is taken for this host's, but for a name that ends
// in "-cloud" or ":cloud". Source: Ollama docs/api.md, docs/cloud.mdx.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "url.hpp"

namespace prony_proxy {

class Clouds {
 public:
  Clouds(prony_http::Url url, std::string ca_file);
  ~Clouds();
  Clouds(const Clouds&) = delete;
  Clouds& operator=(const Clouds&) = delete;

  // Where that model runs; "": on the server's own host; nullopt: not known yet, and asked for now.
  [[nodiscard]] std::optional<std::string> of(const std::string& model);
  // By its name alone.
  [[nodiscard]] static std::string by_name(const std::string& model);
  [[nodiscard]] int fd() const noexcept { return told_; }  // readable when something became known
  void forget_told() noexcept;

 private:
  void ask(const std::stop_token& stop);
  [[nodiscard]] std::string look_up(const std::string& model);

  prony_http::Url url_;
  std::string ca_file_;
  int told_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::string> wanted_;
  std::map<std::string, std::optional<std::string>> known_;
  std::jthread thread_;
};

}  // namespace prony_proxy
