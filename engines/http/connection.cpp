#include "connection.hpp"

#include <ifaddrs.h>
#include <linux/net_tstamp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace prony_http {

namespace {

constexpr const char* nobody_listens = " (nobody listens there: is the server up?)";

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void ask_for_stamps(int socket) {
  const int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  (void)::setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags);  // without it: the read's stamps
}

class PlainConnection final : public Connection {
 public:
  explicit PlainConnection(int socket) : socket_(socket) {
    ask_for_stamps(socket_);
    const int at_once = 1;
    (void)::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  }
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;
  ~PlainConnection() override { ::close(socket_); }

  [[nodiscard]] int fd() const noexcept override { return socket_; }

  [[nodiscard]] std::optional<std::size_t> send(std::string_view bytes) override {
    const ssize_t got = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got >= 0) {
      connected_ = true;
      return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN || errno == EINTR) return 0;
    trouble_ = errno;  // told once by the socket, and asked for by receive()
    return std::nullopt;
  }

  [[nodiscard]] bool short_means_empty() const noexcept override { return true; }

  [[nodiscard]] Received receive(char* buffer, std::size_t size) override {
    iovec piece{buffer, size};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket_, &message, MSG_DONTWAIT);
    Received result;
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) return result;
      result.kind = Received::Kind::broken;
      const int why = trouble_ != 0 ? trouble_ : errno;
      result.words = std::strerror(why);
      if (why == ECONNREFUSED && !connected_) result.words += nobody_listens;
      return result;
    }
    result.kind = got == 0 ? Received::Kind::closed : Received::Kind::data;
    result.bytes = static_cast<std::size_t>(got);
    result.stamp_ns = monotonic_ns();
    if (const auto kernel = kernel_stamp(message, result.stamp_ns)) {
      result.stamp_ns = *kernel;
      result.kernel_stamped = true;
    }
    last_ns_ = result.stamp_ns;
    return result;
  }

 private:
  [[nodiscard]] std::optional<std::int64_t> kernel_stamp(msghdr& message, std::int64_t read_ns) const {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SO_TIMESTAMPING ||
          part->cmsg_len < CMSG_LEN(sizeof(timespec)))
        continue;
      timespec arrived{};  // the first of three: software
      std::memcpy(&arrived, CMSG_DATA(part), sizeof arrived);
      if (arrived.tv_sec == 0) return std::nullopt;
      const std::int64_t ago =
          clock_ns(CLOCK_REALTIME) - (static_cast<std::int64_t>(arrived.tv_sec) * 1'000'000'000 + arrived.tv_nsec);
      const std::int64_t stamp = monotonic_ns() - ago;
      // A piece that is read in parts has one stamp, and what the two clocks show apart differs by a little each time.
      constexpr std::int64_t jitter_ns = 100'000;
      if (stamp > read_ns || stamp < last_ns_ - jitter_ns) return std::nullopt;
      return std::max(stamp, last_ns_);
    }
    return std::nullopt;
  }

  int socket_;
  bool connected_ = false;  // something was sent
  int trouble_ = 0;         // errno of a send
  std::int64_t last_ns_ = monotonic_ns();
};

// 0, or the errno of why not; `deadline_ns` on the monotonic clock.
int connect_within(int socket, const addrinfo& address, std::int64_t deadline_ns) {
  if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  for (;;) {
    const std::int64_t left = deadline_ns - monotonic_ns();
    if (left <= 0) return ETIMEDOUT;
    pollfd ready{socket, POLLOUT, 0};
    const int got = ::poll(&ready, 1, static_cast<int>(left / 1'000'000 + 1));
    if (got == 0) return ETIMEDOUT;
    if (got > 0) break;
  }
  int trouble = 0;
  socklen_t size = sizeof trouble;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &trouble, &size);
  return trouble;
}

bool same_address(const sockaddr* a, const sockaddr* b) {
  if (a == nullptr || b == nullptr || a->sa_family != b->sa_family) return false;
  if (a->sa_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(a)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(b)->sin_addr.s_addr;
  return a->sa_family == AF_INET6 && std::memcmp(&reinterpret_cast<const sockaddr_in6*>(a)->sin6_addr,
                                                 &reinterpret_cast<const sockaddr_in6*>(b)->sin6_addr, 16) == 0;
}

}  // namespace

int keep_kernel_stamps_on() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket >= 0) ask_for_stamps(socket);
  return socket;
}

std::int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

std::string elsewhere(int socket) {
  sockaddr_storage mine{}, theirs{};
  socklen_t size = sizeof theirs;
  auto* peer = reinterpret_cast<sockaddr*>(&theirs);
  if (::getpeername(socket, peer, &size) != 0) return {};
  const socklen_t peer_size = size;
  size = sizeof mine;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&mine), &size) == 0 &&
      same_address(reinterpret_cast<sockaddr*>(&mine), peer))
    return {};  // who talks to an address of its own from that very address is at home
  ifaddrs* all = nullptr;
  bool own = false;
  if (::getifaddrs(&all) == 0) {
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) own = own || same_address(one->ifa_addr, peer);
    ::freeifaddrs(all);
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(peer);
  own = own || (peer->sa_family == AF_INET && (ntohl(v4->sin_addr.s_addr) >> 24) == 127);
  std::array<char, NI_MAXHOST> name{};
  if (own || ::getnameinfo(peer, peer_size, name.data(), name.size(), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return name.data();
}

Address peer_of(int socket) {
  Address address;
  address.size = sizeof address.name;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address.name), &address.size) != 0) address.size = 0;
  return address;
}

Fallible<std::unique_ptr<Connection>> connect_begun(const Address& address) {
  const int socket = ::socket(address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return failed("unreachable", std::string("no socket: ") + std::strerror(errno));
  auto connection = std::make_unique<PlainConnection>(socket);
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  if (::connect(socket, name, address.size) != 0 && errno != EINPROGRESS)
    return failed("unreachable", std::string(std::strerror(errno)) + (errno == ECONNREFUSED ? nobody_listens : ""));
  return connection;
}

Fallible<std::unique_ptr<Connection>> connect_to(const Url& url, const std::string& ca_file, std::int64_t timeout_ns) {
  if (url.tls) return connect_tls(url, ca_file, timeout_ns);
  const std::int64_t deadline_ns = monotonic_ns() + timeout_ns;
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int trouble = ::getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &wanted, &found);
  if (trouble != 0) return failed("unreachable", url.text() + ": " + ::gai_strerror(trouble));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  int last = EHOSTUNREACH;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int socket = ::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) {
      last = errno;
      continue;
    }
    last = connect_within(socket, *address, deadline_ns);
    if (last == 0) return std::make_unique<PlainConnection>(socket);
    ::close(socket);
  }
  return failed("unreachable", url.text() + ": " + std::strerror(last) + (last == ECONNREFUSED ? nobody_listens : ""));
}

}  // namespace prony_http
