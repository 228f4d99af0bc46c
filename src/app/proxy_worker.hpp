// ProxyWorker: the process that passes traffic on (prony-proxy), as its meter sees it: started, listened to line by
// line, told to stop. It outlives the meter on purpose. Thread promise: start() and stop() from the owner's thread;
// lines come from a thread of their own. Ownership: owns the pipes and reaps the process if it ends first. Errors:
// absent (not installed), usage and unavailable (what the worker says that it cannot do).
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "base/spawn.hpp"

namespace prony::app {

class ProxyWorker {
 public:
  struct Hello {
    std::string listening;  // "127.0.0.1 9789"
    std::string to;         // "http://127.0.0.1:11434"
    std::string elsewhere;  // the host that the server is on, if not this one
    std::uint16_t port = 0, server_port = 0;
    bool taken_over = false;  // from a proxy whose meter had gone
  };

  // Waits for its first words, ten seconds at most.
  [[nodiscard]] static Result<std::unique_ptr<ProxyWorker>> start(const std::vector<std::string>& arguments);
  ~ProxyWorker();
  ProxyWorker(const ProxyWorker&) = delete;
  ProxyWorker& operator=(const ProxyWorker&) = delete;

  [[nodiscard]] const Hello& hello() const noexcept { return hello_; }
  [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }
  // `line`: every object that it says; `gone`: it says no more. Both from the reading thread.
  void listen(std::function<void(const nlohmann::json&)> line, std::function<void()> gone);
  void say(const nlohmann::json& message);  // from any thread; lost if it does not listen
  // Answers on their way are waited for (the worker gives them five seconds), then its last words.
  void stop();

 private:
  ProxyWorker(Child child, Fd to, Fd from) : child_(std::move(child)), to_(std::move(to)), from_(std::move(from)) {}
  [[nodiscard]] Result<void> take_hello();
  [[nodiscard]] bool read_some(int patience_ms);

  Child child_;
  Fd to_, from_;
  Hello hello_;
  std::string read_;
  std::mutex say_mutex_;
  std::jthread thread_;
};

}  // namespace prony::app
