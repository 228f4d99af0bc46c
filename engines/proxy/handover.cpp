#include "handover.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace prony_proxy {

namespace {

constexpr int patience_ms = 2000;

struct Name {
  sockaddr_un address{};
  socklen_t length = 0;
};

Name name_of(const std::string& address) {
  Name name;
  name.address.sun_family = AF_UNIX;
  const std::string text = "prony-proxy/" + address;
  const std::size_t bytes = std::min(text.size(), sizeof name.address.sun_path - 1);
  std::memcpy(name.address.sun_path + 1, text.data(), bytes);  // its first byte stays 0: abstract
  name.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  return name;
}

bool same_user(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == ::geteuid();
}

union Control {
  cmsghdr header;
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

}  // namespace

Handover::~Handover() {
  if (fd_ >= 0) ::close(fd_);
}

void Handover::offer(const std::string& address) {
  if (fd_ >= 0) return;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const Name name = name_of(address);
  if (fd < 0) return;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&name.address), name.length) != 0 || ::listen(fd, 1) != 0) {
    ::close(fd);
    return;
  }
  fd_ = fd;
}

bool Handover::give(int listener) const {
  const int peer = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (peer < 0) return false;
  bool given = false;
  if (same_user(peer)) {
    char byte = 1;
    iovec piece{&byte, 1};
    Control control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &listener, sizeof listener);
    given = ::sendmsg(peer, &message, MSG_NOSIGNAL) == 1;
  }
  ::close(peer);
  return given;
}

std::optional<int> Handover::take(const std::string& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const Name name = name_of(address);
  int listener = -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&name.address), name.length) == 0 && same_user(fd)) {
    pollfd ready{fd, POLLIN, 0};
    char byte = 0;
    iovec piece{&byte, 1};
    Control control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    if (::poll(&ready, 1, patience_ms) == 1 && ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC) == 1) {
      const cmsghdr* part = CMSG_FIRSTHDR(&message);
      if (part != nullptr && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
          part->cmsg_len == CMSG_LEN(sizeof(int)))
        std::memcpy(&listener, CMSG_DATA(part), sizeof listener);
    }
  }
  ::close(fd);
  return listener >= 0 ? std::optional(listener) : std::nullopt;
}

}  // namespace prony_proxy
