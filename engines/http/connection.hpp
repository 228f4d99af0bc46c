// Connection: a non-blocking byte stream to a server. Plain TCP reads with recvmsg(2), so that the kernel's stamp of
// when bytes arrived (SO_TIMESTAMPING, software) comes with them; TLS goes through libcurl, opened when first needed,
// and has the stamp of the read instead. Stamps are on CLOCK_MONOTONIC, in ns: the kernel's are on CLOCK_REALTIME and
// moved over by what the two clocks show at the read; one that lies after the read, or before the stamp before it (the
// wall clock was set), is replaced by the read's. Of a read of several segments the stamp is the last one's. Thread
// promise: one thread. Ownership: closes its socket. Errors: Failure "unreachable", in words. Sources: Linux
// Documentation/networking/timestamping.rst, tcp(7), libcurl's ABI (curl/curl.h).
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "failure.hpp"
#include "url.hpp"

namespace prony_http {

struct Received {
  enum class Kind { data, nothing_yet, closed, broken };
  Kind kind = Kind::nothing_yet;
  std::size_t bytes = 0;
  std::int64_t stamp_ns = 0;    // when the last of them arrived
  bool kernel_stamped = false;  // false: the stamp is the read's
  std::string words;            // of `broken`
};

class Connection {
 public:
  virtual ~Connection() = default;
  [[nodiscard]] virtual int fd() const noexcept = 0;
  // How many bytes were taken, 0: none now; nullopt: the connection is broken.
  [[nodiscard]] virtual std::optional<std::size_t> send(std::string_view bytes) = 0;
  [[nodiscard]] virtual Received receive(char* buffer, std::size_t size) = 0;
  // A receive() that filled less than its buffer took all that there was; what comes later makes the socket ready.
  [[nodiscard]] virtual bool short_means_empty() const noexcept { return false; }
};

// Where the other end of a connected socket is, if not on this host: its address in digits; empty: on this host.
[[nodiscard]] std::string elsewhere(int socket);

// Resolves, connects and, for https, shakes hands; blocks for at most `timeout_ns`.
[[nodiscard]] Fallible<std::unique_ptr<Connection>> connect_to(const Url& url, const std::string& ca_file,
                                                               std::int64_t timeout_ns);
[[nodiscard]] Fallible<std::unique_ptr<Connection>> connect_tls(const Url& url, const std::string& ca_file,
                                                                std::int64_t timeout_ns);

// Where a connected socket's other end is, to come back there without a look-up.
struct Address {
  sockaddr_storage name{};
  socklen_t size = 0;  // 0: none
};
[[nodiscard]] Address peer_of(int socket);
// Begins to connect and waits for nothing: whether it came about, the first send or receive tells. Plain TCP.
[[nodiscard]] Fallible<std::unique_ptr<Connection>> connect_begun(const Address& address);

// The kernel begins to stamp some time after the first socket asks for it, and ends with the last one: a socket of no
// other use, held as long as the worker lives, keeps it on between connections. −1: there is none, and stamps may lack.
[[nodiscard]] int keep_kernel_stamps_on();

[[nodiscard]] std::int64_t monotonic_ns();

}  // namespace prony_http
