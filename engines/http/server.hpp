// Server: one address with its kept connections, and calls that wait for their whole answer while the driver's input is
// listened to. Thread promise: one thread. Ownership: owns idle connections; the Input must outlive it.
// Errors: Failure; "cancelled" where the driver called the work off.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dialect.hpp"
#include "exchange.hpp"
#include "input.hpp"
#include "secrets.hpp"

namespace prony_http {

struct ServerSettings {
  Url url;
  std::string api_key, ca_file;
  std::int64_t connect_timeout_ns = 10'000'000'000;
  std::int64_t call_timeout_ns = 30'000'000'000;  // of calls about the server, not of prompts
};

class Server {
 public:
  Server(ServerSettings settings, Input& input) : settings_(std::move(settings)), input_(input) {}

  [[nodiscard]] Fallible<Reply> call(const Call& call, std::int64_t patience_ns);
  [[nodiscard]] Caller caller() {
    return [this](const Call& what, std::int64_t patience_ns) { return call(what, patience_ns); };
  }

  // A connection for a request: one that was kept (`reused`: the server may have closed it meanwhile) or a new one.
  struct Begun {
    std::unique_ptr<Exchange> exchange;
    bool reused = false;
  };
  // `patient`: waits for a new connection to come about; else the exchange tells.
  [[nodiscard]] Fallible<Begun> begin(const Call& call, bool fresh = false, bool patient = false);
  void give_back(Exchange& exchange);

  // Of what it says, as it may be shown: without the key.
  [[nodiscard]] std::string showable(std::string words) const {
    return without_secrets(std::move(words), {&settings_.api_key, 1});
  }
  [[nodiscard]] const Url& url() const noexcept { return settings_.url; }
  // The address of the host that the server is on, if it is another than this; known once something was called.
  [[nodiscard]] const std::string& elsewhere_host() const noexcept { return elsewhere_; }

 private:
  [[nodiscard]] Fallible<Reply> finish(Exchange& exchange, const Call& call, std::int64_t patience_ns);

  ServerSettings settings_;
  Input& input_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::string elsewhere_;
  Address address_;  // where the last patient connection went
};

}  // namespace prony_http
