// Opener: connections to the server over TLS, each opened on a thread so that no handshake holds up the traffic; at
// most eight at a time, the others wait their turn. Plain connections are opened by the loop itself. Thread promise:
// open() and take() from the owner's thread. Ownership: hands connections over; ends with the handshakes in hand.
// Errors: a Failure beside the number that was asked for.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "connection.hpp"

namespace prony_proxy {

class Opener {
 public:
  struct Opened {
    std::uint64_t link = 0;
    prony_http::Fallible<std::unique_ptr<prony_http::Connection>> connection;
  };

  Opener(prony_http::Url url, std::string ca_file);
  ~Opener();
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  void open(std::uint64_t link);
  [[nodiscard]] std::optional<Opened> take();
  [[nodiscard]] int fd() const noexcept { return told_; }  // readable when there is something to take
  void forget_told() noexcept;

 private:
  void work(const std::stop_token& stop);

  prony_http::Url url_;
  std::string ca_file_;
  int told_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::uint64_t> wanted_;
  std::deque<Opened> opened_;
  std::vector<std::jthread> threads_;
};

}  // namespace prony_proxy
