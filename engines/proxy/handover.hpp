// Handover: a proxy whose meter has gone keeps its port and its traffic; the next `prony proxy` on the same address
// gets the listening socket from it, so that no client is refused in between, and the old one ends with its last
// connection. By an abstract socket (unix(7)) that only the same user may use. Thread promise: one thread. Ownership:
// closes its own socket; the listener that take() gives is the caller's. Errors: none: without it the address is simply
// in use.
#pragma once

#include <optional>
#include <string>

namespace prony_proxy {

class Handover {
 public:
  Handover() = default;
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  // From now on somebody may come for the listener of that address.
  void offer(const std::string& address);
  [[nodiscard]] int fd() const noexcept { return fd_; }  // readable when somebody has come; −1: not offered
  // True: they have it now.
  [[nodiscard]] bool give(int listener) const;
  // The listener of that address, from one who offers it.
  [[nodiscard]] static std::optional<int> take(const std::string& address);

 private:
  int fd_ = -1;
};

}  // namespace prony_proxy
