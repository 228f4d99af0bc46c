// HttpDoor: answers HTTP GET on one address, made to be left open to strangers: bounded connections (also from one
// address), request sizes, rate, and time for a request to come; anything but GET and HEAD is refused unread. HTTP
// itself, and TLS, are GNU libmicrohttpd's, opened while Prony runs. The port can be taken again at once after a stop.
// Thread promise: open, sweep and destruction by one thread; `answer` is called from the door's own thread, one call at
// a time. Errors: usage (address taken, or no address), denied (a port below 1024), unavailable (no libmicrohttpd),
// those of the web configuration. Source: libmicrohttpd's manual; RFC 9110.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sinks/web_config.hpp"

namespace prony {

struct HttpQuestion {
  std::string_view path;    // "/metrics", without what follows a '?'
  std::string_view accept;  // content of the header Accept; "": none
};
struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct DoorPlan {
  std::string address = "127.0.0.1";  // numeric, v4 or v6; "": every one
  std::uint16_t port = 0;             // 0: any free one
  WebConfig web = {};
  unsigned most_connections = 32, most_per_address = 16;
  double requests_per_s = 20, requests_at_once = 40;
  std::int64_t most_request_ns = 60'000'000'000;  // a connection that completes no request for so long is cut
};

// "9788", "127.0.0.1:9788", "[::1]:9788", ":9788" (every address), "localhost:9788"; "": 127.0.0.1 and `port`.
struct DoorAddress {
  std::string address;
  std::uint16_t port = 0;
  [[nodiscard]] bool loopback() const;
};
[[nodiscard]] Result<DoorAddress> parse_door_address(std::string_view text, std::uint16_t port);

class HttpDoor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<HttpDoor>> open(DoorPlan plan,
                                                              std::function<HttpAnswer(const HttpQuestion&)> answer);
  ~HttpDoor();
  HttpDoor(const HttpDoor&) = delete;
  HttpDoor& operator=(const HttpDoor&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  // Cuts connections whose request does not come to an end; call about once a second.
  void sweep();

 private:
  struct State;
  explicit HttpDoor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace prony
