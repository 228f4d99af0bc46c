// HttpDoor: answers HTTP on one address, made to be left open to strangers: bounded connections (also from one
// address), sizes, rates (also of one address), and time for a request to come. Who may ask is decided before a body is
// read; a password is compared with its hash on another thread, while others are answered. Pages in browsers that come
// by another name than the door's, or from elsewhere, are refused (sinks/door_names.hpp). HTTP itself, and TLS, are GNU
// libmicrohttpd's, opened while Prony runs. The port can be taken again at once after a stop. Thread promise: open and
// destruction by one thread, sweep by any; `answer` is called from the door's own thread, one call at a time; what it
// throws becomes an answer 500. Errors: usage (address taken, or no address), denied (a port below 1024), unavailable
// (no libmicrohttpd), those of the web configuration. Source: libmicrohttpd's manual; RFC 9110.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sinks/door_socket.hpp"
#include "sinks/rate_limit.hpp"
#include "sinks/web_config.hpp"

namespace prony {

struct HttpQuestion {
  std::string_view path;            // "/metrics", without what follows a '?'
  std::string_view accept;          // content of the header Accept; "": none
  std::string_view method = "GET";  // HEAD is told as GET; POST where the plan takes bodies
  std::string_view body = {};       // of a POST
  std::int64_t received_ns = 0;     // wall clock, when its first line and headers were here
};
struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct DoorPlan {
  DoorAddress at = {"127.0.0.1", 0};  // port 0: any free one
  WebConfig web = {};
  std::vector<std::string> tokens = {};  // whoever shows one of them (Authorization: Bearer) may pass, too
  std::function<bool(std::string_view)> for_anybody = {};  // paths that ask for neither; none if empty
  std::string when_taken = {};                             // what to do where somebody listens already
  std::vector<std::string> names = {};                     // that the door is asked for by, beside its own; "*": any
  unsigned most_connections = 32, most_per_address = 16;
  Rate requests_of_an_address = {20, 40};                 // of anybody, before anything is looked at
  Rate requests = {};                                     // of all who may ask
  std::int64_t most_request_ns = 60'000'000'000;          // a connection that completes no request for so long is cut
  std::size_t most_body_bytes = 0;                        // 0: GET and HEAD alone
  std::size_t most_bodies_bytes = std::size_t{64} << 20;  // of all that are coming in at one time
};

class HttpDoor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<HttpDoor>> open(DoorPlan plan,
                                                              std::function<HttpAnswer(const HttpQuestion&)> answer);
  ~HttpDoor();
  HttpDoor(const HttpDoor&) = delete;
  HttpDoor& operator=(const HttpDoor&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  // "https://127.0.0.1:9788"
  [[nodiscard]] std::string url() const;
  // Cuts connections whose request does not come to an end; the door does so itself four times a minute.
  void sweep();

 private:
  struct State;
  explicit HttpDoor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace prony
