// Link: one client's connection and the one to the server that belongs to it alone. Bytes are passed on as they came,
// in both directions, before anybody looks at them; so whatever HTTP can do on one connection it does here, and what
// two clients send can never be mixed. A side that does not read stops its other side: no more than 64 KiB wait in each
// direction. Thread promise: one thread. Ownership: owns both connections. Errors: none of its own: what broke is
// handed on (an end as an end, a reset as a reset); a server that cannot be reached is told as 502.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "connection.hpp"
#include "watch.hpp"

namespace prony_proxy {

// A plain socket that is connected or being connected. Closes it.
[[nodiscard]] std::unique_ptr<prony_http::Connection> make_socket(int fd);

struct Interest {
  bool read = false, write = false;
  bool operator==(const Interest&) const = default;
};

class Link {
 public:
  // Asks the meter what the answer to a request that began then has cost so far; the reply is header().
  using AskHeader = std::function<void(std::uint64_t link, std::int64_t begin_ns, std::int64_t now_ns)>;

  Link(std::uint64_t number, std::unique_ptr<prony_http::Connection> client, Audience& audience, AskHeader ask)
      : number_(number), client_(std::move(client)), watch_(audience), ask_(std::move(ask)) {}

  // Being connected: what a failure means is the owner's affair, until connected() is called.
  void connecting(std::unique_ptr<prony_http::Connection> server, bool tls);
  void connected() noexcept { connected_ = true; }
  void refused(const std::string& why, std::int64_t now_ns);
  // What the meter says; empty: nothing to put in.
  void header(const std::string& line, std::int64_t now_ns);
  // Passes on what can be passed. True: there may be more at once.
  [[nodiscard]] bool pump(std::int64_t now_ns);
  // About once a second, and when header_due_ns() has come.
  void tick(std::int64_t now_ns);
  void end(std::int64_t now_ns);  // the owner closes it

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] int client_fd() const noexcept { return client_->fd(); }
  [[nodiscard]] int server_fd() const noexcept { return server_ ? server_->fd() : -1; }
  [[nodiscard]] bool is_connected() const noexcept { return connected_; }
  [[nodiscard]] Interest client_interest() const noexcept;
  [[nodiscard]] Interest server_interest() const noexcept;
  [[nodiscard]] bool over() const noexcept { return over_; }
  [[nodiscard]] bool busy() const noexcept { return watch_.busy() || !up_.waiting.empty() || !down_.waiting.empty(); }
  [[nodiscard]] std::int64_t quiet_since_ns() const noexcept { return last_ns_; }
  [[nodiscard]] std::optional<std::int64_t> header_due_ns() const noexcept { return header_due_ns_; }
  [[nodiscard]] const Watch& watch() const noexcept { return watch_; }

 private:
  struct Way {
    std::string waiting;  // read and not yet taken by the other side
    bool ended = false;   // the source has said all
    bool closed = false;  // and the other side was told so
    bool nobody = false;  // the other side takes no more: what comes is thrown away
  };
  enum class Went { nothing, on, full };
  Went pass_up(std::int64_t now_ns);
  Went pass_down(std::int64_t now_ns);
  bool drain(Way& way, prony_http::Connection& to);
  void forward(Way& way, prony_http::Connection& to, std::string_view bytes);
  void forward_down(std::string_view bytes, std::int64_t now_ns);
  void look_at_held(std::int64_t now_ns);
  void release(const std::string& line);
  void client_gone(std::int64_t now_ns);
  void answer_for_the_server(std::int64_t now_ns);

  std::uint64_t number_;
  std::unique_ptr<prony_http::Connection> client_, server_;
  Watch watch_;
  AskHeader ask_;
  Way up_, down_;  // to the server, to the client
  bool tls_ = false, connected_ = false, over_ = false;
  std::string refusal_;  // why there is no server, until it was told as an answer
  std::string held_;     // the head of an answer, until it is known whether a header goes in
  std::optional<std::int64_t> held_for_ns_, header_due_ns_, linger_until_ns_;
  std::int64_t last_ns_ = prony_http::monotonic_ns();
};

}  // namespace prony_proxy
