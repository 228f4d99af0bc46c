#include "server.hpp"

#include <poll.h>

#include <algorithm>
#include <array>

namespace prony_http {

namespace {
constexpr std::size_t most_reply_bytes = std::size_t{64} << 20;
}

Fallible<Server::Begun> Server::begin(const Call& call, bool fresh, bool patient) {
  Begun begun;
  std::unique_ptr<Connection> connection;
  if (!idle_.empty() && !fresh) {
    connection = std::move(idle_.back());
    idle_.pop_back();
    begun.reused = true;
  } else {
    const bool waits = patient || settings_.url.tls || address_.size == 0;
    auto connected =
        waits ? connect_to(settings_.url, settings_.ca_file, settings_.connect_timeout_ns) : connect_begun(address_);
    if (!connected) {
      address_ = {};  // it may be elsewhere by now: look again
      return tl::unexpected<Failure>(connected.error());
    }
    connection = std::move(*connected);
    if (waits) {
      elsewhere_ = elsewhere(connection->fd());
      address_ = peer_of(connection->fd());
    }
  }
  begun.exchange =
      std::make_unique<Exchange>(std::move(connection), request_bytes(call, settings_.url, settings_.api_key));
  return begun;
}

void Server::give_back(Exchange& exchange) {
  if (auto connection = exchange.take_connection()) idle_.push_back(std::move(connection));
}

Fallible<Reply> Server::finish(Exchange& exchange, const Call& call, std::int64_t patience_ns) {
  const std::int64_t deadline_ns = monotonic_ns() + patience_ns;
  Reply reply;
  for (;;) {
    const auto state = exchange.advance([&](const Exchange::Piece& piece) {
      if (call.heard && exchange.response().status() == 200)
        call.heard(piece.bytes);
      else
        reply.body += piece.bytes;
    });
    reply.status = exchange.response().status();
    if (state == Exchange::State::complete) return reply;
    if (state == Exchange::State::broken) return failed("unreachable", settings_.url.text() + ": " + exchange.error());
    if (reply.body.size() > most_reply_bytes)
      return failed("refused", settings_.url.text() + ": the answer is longer than 64 MiB");
    const std::int64_t left = deadline_ns - monotonic_ns();
    if (left <= 0)
      return failed("timeout",
                    settings_.url.text() + ": no answer within " + std::to_string(patience_ns / 1'000'000'000) + " s");
    std::array<pollfd, 2> ready{
        pollfd{exchange.fd(), static_cast<short>(exchange.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0},
        pollfd{input_.ended() ? -1 : input_.fd(), POLLIN, 0}};
    ::poll(ready.data(), ready.size(), static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 60'000)));
    if (ready[1].revents != 0) input_.read_some();
    if (input_.cancelled()) return failed("cancelled", "cancelled");
  }
}

Fallible<Reply> Server::call(const Call& call, std::int64_t patience_ns) {
  const std::int64_t patience = patience_ns > 0 ? patience_ns : settings_.call_timeout_ns;
  auto begun = begin(call, false, true);
  if (!begun) return tl::unexpected<Failure>(begun.error());
  auto reply = finish(*begun->exchange, call, patience);
  if (!reply && begun->reused && !begun->exchange->response().started() && reply.error().code == "unreachable") {
    begun = begin(call, true, true);  // the server had closed the kept connection
    if (!begun) return tl::unexpected<Failure>(begun.error());
    reply = finish(*begun->exchange, call, patience);
  }
  give_back(*begun->exchange);
  return reply;
}

}  // namespace prony_http
