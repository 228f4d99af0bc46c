// Before the first connection: where the server is, the listener, and what is waited for.
#include "proxy.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tags.hpp"

namespace prony_proxy {

using prony_http::failed;
using prony_http::Fallible;
using prony_http::json;

namespace {

// Whether a socket may be bound to it: then it is an address of this host.
bool is_own(const sockaddr_storage& place, socklen_t length) {
  sockaddr_storage any_port = place;
  if (place.ss_family == AF_INET)
    reinterpret_cast<sockaddr_in*>(&any_port)->sin_port = 0;
  else
    reinterpret_cast<sockaddr_in6*>(&any_port)->sin6_port = 0;
  const int fd = ::socket(place.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool own = ::bind(fd, reinterpret_cast<const sockaddr*>(&any_port), length) == 0;
  ::close(fd);
  return own;
}

std::string digits_of(const sockaddr* place, socklen_t length, std::string* port = nullptr) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (::getnameinfo(place, length, host.data(), host.size(), service.data(), service.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  if (port != nullptr) *port = service.data();
  return host.data();
}

}  // namespace

Fallible<void> Proxy::resolve() {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int trouble =
      ::getaddrinfo(settings_.to.host.c_str(), std::to_string(settings_.to.port).c_str(), &wanted, &found);
  if (trouble != 0) return failed("unreachable", settings_.to.text() + ": " + ::gai_strerror(trouble));
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Address address;
    address.length = one->ai_addrlen;
    address.family = one->ai_family;
    std::memcpy(&address.place, one->ai_addr, one->ai_addrlen);
    server_.push_back(address);
  }
  ::freeaddrinfo(found);
  const Address& first = server_.front();
  if (!is_own(first.place, first.length))
    elsewhere_ = digits_of(reinterpret_cast<const sockaddr*>(&first.place), first.length);
  return {};
}

Fallible<void> Proxy::listen() {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(settings_.listen_port);
  const int trouble = ::getaddrinfo(settings_.listen_host.empty() ? nullptr : settings_.listen_host.c_str(),
                                    port.c_str(), &wanted, &found);
  if (trouble != 0) return failed("usage", "--listen " + settings_.listen_host + ": " + ::gai_strerror(trouble));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  const std::string asked = digits_of(found->ai_addr, found->ai_addrlen) + " " + port;
  listener_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener_ < 0) return failed("usage", std::string("no socket to listen on: ") + std::strerror(errno));
  const int on = 1;
  (void)::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener_, found->ai_addr, found->ai_addrlen) != 0 || ::listen(listener_, 1024) != 0) {
    const int why = errno;
    ::close(listener_);
    listener_ = -1;
    // Perhaps a proxy whose meter has gone: it hands its listener over.
    const auto taken = why == EADDRINUSE ? Handover::take(asked) : std::nullopt;
    if (!taken)
      return failed("usage", "cannot listen on " + settings_.listen_host + ":" + port + ": " + std::strerror(why));
    listener_ = *taken;
    taken_over_ = true;
  }
  sockaddr_storage mine{};
  socklen_t size = sizeof mine;
  std::string number;
  (void)::getsockname(listener_, reinterpret_cast<sockaddr*>(&mine), &size);
  address_ = digits_of(reinterpret_cast<const sockaddr*>(&mine), size, &number) + " " + number;
  port_ = static_cast<std::uint16_t>(std::strtoul(number.c_str(), nullptr, 10));
  return {};
}

Fallible<void> Proxy::open() {
  if (!settings_.to.base.empty())
    return failed("usage", "the address of the server has a path (" + settings_.to.base +
                               "): requests keep their own, so name the host and port alone");
  if (auto resolved = resolve(); !resolved) return resolved;
  if (auto listening = listen(); !listening) return listening;
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, SIGTERM);
  sigaddset(&taken, SIGINT);
  (void)::sigprocmask(SIG_BLOCK, &taken, nullptr);
  signals_ = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  opener_ = std::make_unique<Opener>(settings_.to, settings_.ca_file);
  if (elsewhere_.empty()) clouds_ = std::make_unique<Clouds>(settings_.to, settings_.ca_file);
  if (epoll_ < 0 || signals_ < 0 || opener_->fd() < 0) return failed("internal", std::strerror(errno));
  add(signals_, signals_tag, EPOLLIN);
  add(opener_->fd(), opener_tag, EPOLLIN);
  if (clouds_) add(clouds_->fd(), clouds_tag, EPOLLIN);
  add(input_.fd(), input_tag, EPOLLIN);
  add(listener_, listener_tag, EPOLLIN);
  accepting_ = true;
  say_hello();
  return {};
}

void Proxy::say_hello() {
  json hello = {{"type", "hello"},
                {"port", port_},
                {"listening", address_},
                {"to", settings_.to.text()},
                {"server_port", settings_.to.port},
                {"taken_over", taken_over_},
                {"version", PRONY_VERSION}};
  if (!elsewhere_.empty()) hello["elsewhere"] = elsewhere_;
  reports_.say(hello);
}

}  // namespace prony_proxy
