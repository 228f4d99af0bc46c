// A server of language models that makes none: it streams pieces over OpenAI's interface, thousands of streams at once
// on one thread, each piece holding the instant (CLOCK_MONOTONIC, ns) at which it was handed to the socket. So a
// client's stamps can be held against the sender's, piece by piece, and whether all came, in order.
//   stream_server --pieces N [--interval-us U] [--hold K]
//   U: between the pieces of a stream, 0: as fast as the sockets take them. K: no piece goes out before so many streams
//   are open at once. Prints its port; ends with its standard input.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace {

struct Settings {
  int pieces = 32;
  std::int64_t interval_ns = 0;
  std::size_t hold = 0;
};

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::string chunked(const std::string& data) {
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  return size.data() + data + "\r\n";
}

struct Client {
  int socket = -1;
  std::string in, out;  // what was not yet taken from it, and by it
  int left = -1;        // pieces of the answer under way; -1: none
  std::int64_t due_ns = 0;
  bool watched_for_room = false;
};

class Server {
 public:
  explicit Server(Settings settings) : settings_(settings), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 4096) != 0)
      std::perror("listen"), std::exit(1);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    watch(listener_, false, EPOLL_CTL_ADD);
    watch(STDIN_FILENO, false, EPOLL_CTL_ADD);
  }

  void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int got = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience_ms());
      for (int i = 0; i < got; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == STDIN_FILENO) return;
        if (fd == listener_)
          accept_all();
        else if (const auto found = clients_.find(fd); found != clients_.end())
          serve(*found->second);
      }
      send_what_is_due();
    }
  }

 private:
  using Due = std::pair<std::int64_t, int>;  // when, whose

  void watch(int fd, bool for_room, int how) {
    epoll_event event{};
    event.events = EPOLLIN | (for_room ? EPOLLOUT : 0U);
    event.data.fd = fd;
    ::epoll_ctl(epoll_, how, fd, &event);
  }

  int patience_ms() const {
    if (due_.empty()) return -1;
    const std::int64_t left = due_.top().first - now_ns();
    return left <= 1'000'000 ? 0
                             : static_cast<int>(left / 1'000'000);  // the rest is spun: a piece is not late by a timer
  }

  void accept_all() {
    for (;;) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      const int at_once = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
      clients_[socket] = std::make_unique<Client>();
      clients_[socket]->socket = socket;
      watch(socket, false, EPOLL_CTL_ADD);
    }
  }

  void close(Client& client) {
    const int socket = client.socket;
    if (client.left >= 0) --open_;
    ::close(socket);
    clients_.erase(socket);
  }

  // False: it is gone.
  bool flush(Client& client) {
    while (!client.out.empty()) {
      const ssize_t sent = ::send(client.socket, client.out.data(), client.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) break;
      if (sent < 0) return close(client), false;
      client.out.erase(0, static_cast<std::size_t>(sent));
    }
    if (client.watched_for_room != !client.out.empty()) {
      client.watched_for_room = !client.out.empty();
      watch(client.socket, client.watched_for_room, EPOLL_CTL_MOD);
    }
    return true;
  }

  void serve(Client& client) {
    std::array<char, 65536> buffer{};
    for (;;) {
      const ssize_t got = ::recv(client.socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) break;
      if (got <= 0) return close(client);
      client.in.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const bool waited_for_room = client.watched_for_room;
    if (!flush(client)) return;
    if (waited_for_room && client.out.empty() && client.left >= 0) due_.emplace(client.due_ns, client.socket);
    const std::size_t head = client.in.find("\r\n\r\n");
    if (head == std::string::npos || client.left >= 0) return;
    const std::size_t length = client.in.find("Content-Length: ");
    const std::size_t body = length < head ? std::strtoul(client.in.c_str() + length + 16, nullptr, 10) : 0;
    if (client.in.size() < head + 4 + body) return;
    const bool stream = client.in.starts_with("POST");
    client.in.erase(0, head + 4 + body);
    if (stream) return begin(client);
    const std::string list = R"({"object":"list","data":[{"id":"tiny","max_model_len":8192}]})";
    client.out = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(list.size()) +
                 "\r\n\r\n" + list;
    (void)flush(client);
  }

  void begin(Client& client) {
    client.left = settings_.pieces;
    client.out = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    ++open_;
    if (!flush(client)) return;
    client.due_ns = 0;
    held_.push_back(client.socket);
    if (open_ < settings_.hold) return;
    settings_.hold = 0;  // once
    // Spread over an interval, so that streams do not march in step.
    std::int64_t at = now_ns();
    for (const int socket : held_)
      if (const auto found = clients_.find(socket); found != clients_.end()) {
        found->second->due_ns = at;
        due_.emplace(at, socket);
        at += settings_.interval_ns / static_cast<std::int64_t>(held_.size());
      }
    held_.clear();
  }

  void send_what_is_due() {
    // So many, then the sockets are looked at again.
    for (int i = 0; i < 256 && !due_.empty() && due_.top().first <= now_ns(); ++i) {
      const int socket = due_.top().second;
      due_.pop();
      const auto found = clients_.find(socket);
      if (found != clients_.end() && found->second->left >= 0) send_piece(*found->second);
    }
  }

  void send_piece(Client& client) {
    if (client.left == 0) {
      client.out +=
          chunked(
              R"(data: {"id":"c","object":"chat.completion.chunk","model":"tiny","choices":[{"index":0,"delta":{},"finish_reason":"length"}]})"
              "\n\n") +
          chunked(
              R"(data: {"id":"c","object":"chat.completion.chunk","model":"tiny","choices":[],"usage":{"prompt_tokens":8,"completion_tokens":)" +
              std::to_string(settings_.pieces) + R"(,"total_tokens":)" + std::to_string(settings_.pieces + 8) +
              "}}\n\n") +
          chunked("data: [DONE]\n\n") + "0\r\n\r\n";
      client.left = -1;
      --open_;
      (void)flush(client);
      return;
    }
    --client.left;
    // The size of a piece does not depend on the instant, so that it can be stamped last of all.
    std::array<char, 320> text{};
    const int size =
        std::snprintf(text.data(), text.size(),
                      R"(data: {"id":"c","object":"chat.completion.chunk","created":1732233600,"model":"tiny",)"
                      R"("choices":[{"index":0,"delta":{"content":" %020lld"},"logprobs":null,"finish_reason":null}]})"
                      "\n\n",
                      static_cast<long long>(now_ns()));
    client.out += chunked(std::string(text.data(), static_cast<std::size_t>(size)));
    client.due_ns = settings_.interval_ns > 0 ? client.due_ns + settings_.interval_ns : client.due_ns + 1;
    if (!flush(client)) return;
    if (client.out.empty()) due_.emplace(client.due_ns, client.socket);  // else once there is room
  }

  Settings settings_;
  int epoll_, listener_;
  std::map<int, std::unique_ptr<Client>> clients_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<int> held_;
  std::size_t open_ = 0;
};

}  // namespace

int main(int count, char** words) {
  Settings settings;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string word = words[i];
    const long long value = std::strtoll(words[i + 1], nullptr, 10);
    if (word == "--pieces") settings.pieces = static_cast<int>(value);
    if (word == "--interval-us") settings.interval_ns = value * 1000;
    if (word == "--hold") settings.hold = static_cast<std::size_t>(value);
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Server(settings).run();
  return 0;
}
