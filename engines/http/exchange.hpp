// Exchange: one request and its answer on a connection, carried on whenever the socket is ready. Each piece of the body
// is handed on with the stamp of the read that brought it.
// Thread promise: one thread. Ownership: owns the connection until take_connection(). Errors: state() and error().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "connection.hpp"
#include "failure.hpp"
#include "http_response.hpp"

namespace prony_http {

struct Call {
  std::string method = "GET";
  std::string path = "/";  // with the server's base
  std::string body;        // JSON; empty: none
  // Of a long answer with status 200 that is heard while it comes; it is then not kept. Empty: it is waited for.
  std::function<void(std::string_view)> heard = {};
};

// The bytes of a call: HTTP/1.1, kept alive.
[[nodiscard]] std::string request_bytes(const Call& call, const Url& url, const std::string& api_key);

class Exchange {
 public:
  enum class State { going, complete, broken };
  struct Piece {
    std::string_view bytes;
    std::int64_t stamp_ns = 0;
    bool kernel_stamped = false;
  };
  using Sink = std::function<void(const Piece&)>;

  Exchange(std::unique_ptr<Connection> connection, std::string request)
      : connection_(std::move(connection)), request_(std::move(request)) {}

  // Sends what can be sent and reads what is there.
  State advance(const Sink& sink);
  [[nodiscard]] bool wants_to_write() const noexcept { return sent_ < request_.size(); }
  [[nodiscard]] int fd() const noexcept { return connection_->fd(); }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }  // of State::broken
  [[nodiscard]] const HttpResponse& response() const noexcept { return response_; }
  // For the next request, if the server keeps it; else null.
  [[nodiscard]] std::unique_ptr<Connection> take_connection();

 private:
  State broken(std::string words);

  std::unique_ptr<Connection> connection_;
  std::string request_, error_;
  std::size_t sent_ = 0;
  HttpResponse response_;
  State state_ = State::going;
};

}  // namespace prony_http
