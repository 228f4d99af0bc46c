// Network: how a Machine asks devices that are not in it: plugs, BMCs. A live machine's is libcurl, opened while Prony
// runs (nobody links it, and whoever has no such meter needs none); a simulated machine's is a function; a captured one
// has none. Nothing is asked that was not named by the user: no proxy, no redirect is followed, no name is looked up
// unasked. Thread promise: one thread asks at a time; interrupt() from any. Ownership: a Network may outlive its
// Machine. Errors name the address without what is secret in it: absent (no such host), unavailable (refused, a
// certificate that does not hold, libcurl is not there), transient (no answer in time, broken off), gone
// (interrupted), full (a longer answer than was allowed), malformed (not what the protocol says).
// Source: libcurl-multi(3), curl_easy_setopt(3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "model/time.hpp"

namespace prony {

struct HttpRequest {
  std::string method = "GET";
  std::string url;                        // "http://192.0.2.7/status": may be told in an error
  std::string secret_query = {};          // put behind the address, never told
  std::vector<std::string> headers = {};  // "X-Auth-Token: …": never told
  std::string body = {};
  std::string user = {}, password = {};  // HTTP Basic or Digest, as the device asks; empty user: none
  std::string ca_file = {};              // certificates to trust instead of the system's, PEM
  bool check_certificate = true;
  Duration deadline = milliseconds(3000);  // of the whole request
  std::size_t most_bytes = std::size_t{1} << 20;
};

struct HttpResponse {
  long status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;       // names in small letters
  [[nodiscard]] std::string header(std::string_view name) const;  // "": there is none
};

struct TcpRequest {
  std::string host;
  unsigned port = 0;
  std::string send;
  // How long the whole answer is, given its beginning; 0: not known yet.
  std::function<std::size_t(std::string_view)> length;
  Duration deadline = milliseconds(3000);
  std::size_t most_bytes = std::size_t{1} << 20;
};

class Network {
 public:
  virtual ~Network() = default;
  // Whatever the device answers, also 404: the caller looks at the status. Connections are kept open.
  [[nodiscard]] virtual Result<HttpResponse> http(const HttpRequest& request) = 0;
  [[nodiscard]] virtual Result<std::string> tcp(const TcpRequest& request) = 0;
  // What is being asked ends within a tenth of a second, and whatever is asked afterwards at once.
  virtual void interrupt() noexcept = 0;
};

// What a function answers: for simulated machines.
using HttpFunction = std::function<Result<HttpResponse>(const HttpRequest&)>;
using TcpFunction = std::function<Result<std::string>(const TcpRequest&)>;
[[nodiscard]] std::unique_ptr<Network> make_function_network(HttpFunction http, TcpFunction tcp = {});
// libcurl's. Called by machine's own files, and by the sink that sends to another machine. Errors: unavailable.
[[nodiscard]] Result<std::unique_ptr<Network>> open_live_network();

}  // namespace prony
