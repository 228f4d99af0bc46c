// Proxy: listens, and passes every connection on to one server: one thread, one epoll, no waiting for anything but the
// sockets. What requests were and cost is told to the meter by Reports; the meter may go, the traffic stays. Thread
// promise: run() from one thread. Ownership: owns all sockets; input and report descriptors are borrowed. Errors:
// open(): Failure in words; afterwards none. Bounds: `most_links` connections, 64 KiB waiting in each direction of
// each.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "clouds.hpp"
#include "handover.hpp"
#include "input.hpp"
#include "link.hpp"
#include "opener.hpp"
#include "reports.hpp"

namespace prony_proxy {

struct ProxySettings {
  prony_http::Url to;
  std::string ca_file;
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;
  std::size_t most_links = 4000;
  bool response_header = false;
};

class Proxy final : private Audience {
 public:
  Proxy(ProxySettings settings, int input, int output);
  ~Proxy() override;
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] prony_http::Fallible<void> open();
  void run();  // until it is told to stop and the last request has its answer

 private:
  struct Address {
    sockaddr_storage place{};
    socklen_t length = 0;
    int family = 0;
  };
  struct Held {  // a request of which is not known yet whether its model runs here
    Seen seen;
    std::int64_t until_ns = 0;
  };
  struct Slot {
    std::unique_ptr<Link> link;
    std::size_t next_address = 0;
    Interest client, server;  // as the kernel knows them
    int client_fd = -1, server_fd = -1;
  };

  [[nodiscard]] prony_http::Fallible<void> resolve();
  [[nodiscard]] prony_http::Fallible<void> listen();
  void say_hello();
  void add(int fd, std::uint64_t tag, std::uint32_t events) const;
  void accept_some();
  void connect_next(Slot& slot);
  void dispatch(std::uint64_t tag, std::uint32_t events);
  void carry_on(Slot& slot);
  void take_up(Slot& slot, int fd, Interest wanted, Interest& known, int& known_fd, std::uint64_t tag) const;
  void forget(std::uint64_t number);
  void make_place();
  void take_opened();
  void take_input();
  void meter_gone();
  [[nodiscard]] std::uint64_t began(const Seen& seen) override;
  void ended(Seen&& seen) override;
  void settle_held(bool last);
  void tick();
  void stop();
  [[nodiscard]] int patience_ms() const;

  ProxySettings settings_;
  Reports reports_;
  prony_http::Input input_;
  int output_;
  int epoll_ = -1, listener_ = -1, signals_ = -1;
  std::string address_;  // it listens on, in digits
  std::uint16_t port_ = 0;
  std::vector<Address> server_;
  std::string elsewhere_;
  std::unique_ptr<Opener> opener_;
  std::unique_ptr<Clouds> clouds_;
  Handover handover_;
  std::unordered_map<std::uint64_t, Slot> links_;
  std::deque<std::uint64_t> again_;  // links that have more to pass on at once
  std::deque<Held> held_;
  std::uint64_t next_link_ = 8, requests_ = 0, passed_ = 0;
  std::int64_t now_ns_ = 0, next_tick_ns_ = 0, stop_by_ns_ = 0;
  bool accepting_ = false, stopping_ = false, reports_watched_ = false, taken_over_ = false, headers_due_ = false;
};

}  // namespace prony_proxy
