#include "link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "answer_head.hpp"

namespace prony_proxy {

using prony_http::Received;

namespace {

constexpr int most_turns = 8;                              // of one link before the others have theirs
constexpr std::size_t read_bytes = 64 * 1024;              // and so much waits at most in each direction
constexpr std::int64_t header_patience_ns = 100'000'000;   // the meter's; then the answer goes without
constexpr std::int64_t linger_ns = 5'000'000'000;          // of a client that does not close after its server did
constexpr std::int64_t head_patience_ns = 60'000'000'000;  // of a request's head from its first byte

class Socket final : public prony_http::Connection {
 public:
  explicit Socket(int fd) : fd_(fd) {
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() override { ::close(fd_); }
  [[nodiscard]] int fd() const noexcept override { return fd_; }
  [[nodiscard]] std::optional<std::size_t> send(std::string_view bytes) override {
    const ssize_t got = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return 0;
    return std::nullopt;
  }
  [[nodiscard]] Received receive(char* buffer, std::size_t size) override {
    Received result;
    const ssize_t got = ::recv(fd_, buffer, size, MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return result;
      result.kind = Received::Kind::broken;
      result.words = std::strerror(errno);
      return result;
    }
    result.stamp_ns = prony_http::monotonic_ns();
    result.kind = got == 0 ? Received::Kind::closed : Received::Kind::data;
    result.bytes = static_cast<std::size_t>(got);
    return result;
  }

 private:
  int fd_;
};

}  // namespace

std::unique_ptr<prony_http::Connection> make_socket(int fd) { return std::make_unique<Socket>(fd); }

void Link::connecting(std::unique_ptr<prony_http::Connection> server, bool tls) {
  server_ = std::move(server);
  tls_ = tls;
}

// It is told when something was asked.
void Link::refused(const std::string& why, std::int64_t now_ns) {
  connected_ = false;
  server_.reset();
  up_.waiting.clear();
  up_.nobody = true;
  refusal_ = why;
  if (watch_.asked()) answer_for_the_server(now_ns);
}

void Link::answer_for_the_server(std::int64_t now_ns) {
  const prony_http::json words = {
      {"error", {{"message", "prony proxy: " + refusal_}, {"type", "server_unreachable"}, {"code", 502}}}};
  const std::string body = prony_http::dump(words);
  const std::string answer =
      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  refusal_.clear();
  down_.waiting = answer;
  watch_.from_server(answer, now_ns);
  down_.ended = true;
  linger_until_ns_ = now_ns + linger_ns;
}

Interest Link::client_interest() const noexcept {
  return {!up_.ended && (up_.nobody || up_.waiting.empty()), !down_.waiting.empty()};
}

Interest Link::server_interest() const noexcept {
  if (!server_) return {};
  if (!connected_) return {false, true};
  return {!down_.ended && down_.waiting.empty() && !header_due_ns_, !up_.waiting.empty()};
}

// What waits, as far as it is taken. False: the other side takes no more at all.
bool Link::drain(Way& way, prony_http::Connection& to) {
  if (way.waiting.empty()) return true;
  const auto sent = to.send(way.waiting);
  if (!sent) return false;
  way.waiting.erase(0, *sent);
  return true;
}

void Link::forward(Way& way, prony_http::Connection& to, std::string_view bytes) {
  const auto sent = to.send(bytes);
  if (!sent) {
    way.nobody = true;
    return;
  }
  way.waiting.assign(bytes.substr(*sent));
}

Link::Went Link::pass_up(std::int64_t now_ns) {
  if (up_.ended && up_.waiting.empty()) {
    if (up_.closed || !connected_) return Went::nothing;
    up_.closed = true;
    // TLS has no half of a connection to close through libcurl: the server hears of it when it next writes.
    if (!tls_) (void)::shutdown(server_->fd(), SHUT_WR);
    return Went::nothing;
  }
  if (connected_ && !up_.waiting.empty()) {
    if (!drain(up_, *server_)) up_.nobody = true, up_.waiting.clear();
    if (!up_.waiting.empty()) return Went::full;
  }
  if (!up_.waiting.empty()) return Went::full;
  if (up_.ended) return Went::on;
  std::array<char, read_bytes> buffer;
  const Received got = client_->receive(buffer.data(), buffer.size());
  if (got.kind == Received::Kind::nothing_yet) return Went::nothing;
  if (got.kind == Received::Kind::broken) return client_gone(now_ns), Went::nothing;
  if (got.kind == Received::Kind::closed) return up_.ended = true, Went::on;
  const std::string_view bytes(buffer.data(), got.bytes);
  last_ns_ = now_ns;
  if (up_.nobody) {
    if (refusal_.empty()) return Went::on;
    watch_.from_client(bytes, got.stamp_ns);
    if (watch_.asked()) answer_for_the_server(now_ns);
    return Went::on;
  }
  if (!connected_) {
    up_.waiting.assign(bytes);
    watch_.from_client(bytes, got.stamp_ns);
    return Went::full;
  }
  forward(up_, *server_, bytes);
  watch_.from_client(bytes, got.stamp_ns);
  return Went::on;
}

Link::Went Link::pass_down(std::int64_t now_ns) {
  if (!down_.waiting.empty()) {
    if (!drain(down_, *client_)) return client_gone(now_ns), Went::nothing;
    if (!down_.waiting.empty()) return Went::full;
  }
  if (down_.ended) {
    if (!held_.empty()) return release({}), Went::on;
    if (down_.closed) return Went::nothing;
    down_.closed = true;
    linger_until_ns_ = now_ns + linger_ns;
    (void)::shutdown(client_->fd(), SHUT_WR);
    return Went::nothing;
  }
  if (!connected_ || header_due_ns_) return Went::nothing;
  std::array<char, read_bytes> buffer;
  const Received got = server_->receive(buffer.data(), buffer.size());
  if (got.kind == Received::Kind::nothing_yet) return Went::nothing;
  if (got.kind == Received::Kind::closed) {
    down_.ended = true;
    watch_.ended(false, now_ns);
    return Went::on;
  }
  if (got.kind == Received::Kind::broken) {
    if (!held_.empty()) release({});
    watch_.ended(false, now_ns);
    const linger hard{1, 0};  // a reset is handed on as one: a cut answer must not look like a whole one
    (void)::setsockopt(client_->fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    over_ = true;
    return Went::nothing;
  }
  last_ns_ = now_ns;
  const std::string_view bytes(buffer.data(), got.bytes);
  forward_down(bytes, now_ns);
  watch_.from_server(bytes, got.stamp_ns);
  return Went::on;
}

void Link::forward_down(std::string_view bytes, std::int64_t now_ns) {
  if (ask_ && !held_for_ns_) held_for_ns_ = watch_.answer_begins();
  if (!ask_ || !held_for_ns_) {
    forward(down_, *client_, bytes);
  } else {
    held_.append(bytes);
    look_at_held(now_ns);
  }
  if (down_.nobody) client_gone(now_ns);
}

void Link::look_at_held(std::int64_t now_ns) {
  AnswerHead head = look_at_head(held_);
  while (head.kind == AnswerHead::Kind::interim) {
    forward(down_, *client_, std::string_view(held_).substr(0, head.length));
    held_.erase(0, head.length);
    if (held_.empty() || !down_.waiting.empty()) break;
    head = look_at_head(held_);
  }
  if (held_.empty() || head.kind == AnswerHead::Kind::incomplete) return;
  if (head.kind != AnswerHead::Kind::may_take) return release({});
  header_due_ns_ = now_ns + header_patience_ns;
  ask_(number_, *held_for_ns_, now_ns);
}

// Lets the held bytes go, with that header where there is one.
void Link::release(const std::string& line) {
  header_due_ns_.reset();
  held_for_ns_.reset();
  const AnswerHead head = look_at_head(held_);
  if (!line.empty() && head.kind == AnswerHead::Kind::may_take) held_.insert(head.length - 2, line + "\r\n");
  if (down_.waiting.empty())
    forward(down_, *client_, held_);
  else
    down_.waiting += held_;
  held_.clear();
}

void Link::header(const std::string& line, std::int64_t now_ns) {
  if (!header_due_ns_) return;  // it came too late
  release(line);
  if (down_.nobody) client_gone(now_ns);
}

void Link::client_gone(std::int64_t now_ns) {
  watch_.ended(true, now_ns);
  over_ = true;
}

bool Link::pump(std::int64_t now_ns) {
  bool up = true, down = true;
  for (int turn = 0; turn < most_turns && (up || down) && !over_; ++turn) {
    up = up && pass_up(now_ns) == Went::on;
    if (!over_) down = down && pass_down(now_ns) == Went::on;
  }
  over_ = over_ || (down_.closed && up_.ended) || (!refusal_.empty() && up_.ended) || (tls_ && up_.ended && !busy());
  return !over_ && (up || down);
}

void Link::tick(std::int64_t now_ns) {
  if (header_due_ns_ && now_ns >= *header_due_ns_) header({}, now_ns);
  if (linger_until_ns_ && down_.closed && now_ns >= *linger_until_ns_) over_ = true;
  if (up_.ended && !busy() && now_ns - last_ns_ > linger_ns) over_ = true;  // a server that does not see the end
  const auto since = watch_.head_since_ns();
  if (since && now_ns - *since > head_patience_ns) end(now_ns);
}

void Link::end(std::int64_t now_ns) {
  watch_.ended(true, now_ns);
  over_ = true;
}

}  // namespace prony_proxy
