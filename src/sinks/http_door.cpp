#include "sinks/http_door.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>

#include "base/text.hpp"
#include "sinks/microhttpd.hpp"

namespace prony {

namespace {

namespace mhd = microhttpd;

constexpr std::size_t connection_bytes = 32768;  // request line and all headers together
constexpr unsigned idle_s = 60;
constexpr std::size_t pem_limit = std::size_t{1} << 20;

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Functions {
  DynLib library;
  mhd::StartDaemon start = nullptr;
  mhd::StopDaemon stop = nullptr;
  mhd::LookUp look_up = nullptr;
  mhd::CreateResponse create = nullptr;
  mhd::AddHeader add_header = nullptr;
  mhd::QueueResponse queue = nullptr;
  mhd::DestroyResponse destroy = nullptr;
  mhd::ConnectionInfo info = nullptr;
  mhd::HasFeature has = nullptr;

  template <class F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(library.symbol(name));
    return function != nullptr;
  }
  bool find_all() {
    return find(start, "MHD_start_daemon") && find(stop, "MHD_stop_daemon") &&
           find(look_up, "MHD_lookup_connection_value") && find(create, "MHD_create_response_from_buffer") &&
           find(add_header, "MHD_add_response_header") && find(queue, "MHD_queue_response") &&
           find(destroy, "MHD_destroy_response") && find(info, "MHD_get_connection_info") &&
           find(has, "MHD_is_feature_supported");
  }
};

Result<Functions> open_library() {
  Functions functions;
  auto library = DynLib::open("libmicrohttpd.so.12");
  if (library) {
    functions.library = std::move(*library);
    if (functions.find_all()) return functions;
  }
  return fail(ErrorCode::unavailable, "libmicrohttpd.so.12 is not here, which answers HTTP", {},
              "Install it:  sudo apt install libmicrohttpd12   (Ubuntu 24.04: libmicrohttpd12t64)");
}

// "example: address already in use".
Unexpected<Error> not_bound(const std::string& where) {
  const int number = errno;
  Error error = error_from_errno(number, where);
  if (number == EADDRINUSE) {
    error = {ErrorCode::usage, "somebody listens there already", where,
             "Another monitor? Give this one a port of its own:  --sink prometheus:9789"};
  } else if (number == EADDRNOTAVAIL) {
    error = {ErrorCode::usage, "this machine has no such address", where, "`ip address` lists those it has."};
  }
  return Unexpected<Error>(std::move(error));
}

// SO_REUSEADDR: taken again at once after a stop, while connections of the one before fade away. Two listeners at once
// it does not allow.
Result<Fd> listen_on(const DoorPlan& plan) {
  const std::string where = (plan.address.empty() ? "every address" : plan.address) + ":" + std::to_string(plan.port);
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = plan.address.empty() ? AF_INET6 : AF_UNSPEC;
  addrinfo* found = nullptr;
  if (::getaddrinfo(plan.address.empty() ? nullptr : plan.address.c_str(), std::to_string(plan.port).c_str(), &hints,
                    &found) != 0)
    return fail(ErrorCode::usage, "this is no numeric address", where, "Write for example 127.0.0.1 or [::1]");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  Fd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return not_bound(where);
  const int on = 1, off = 0;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (plan.address.empty()) (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0) return not_bound(where);
  if (::listen(socket.get(), 64) != 0) return not_bound(where);
  return socket;
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port)
                                       : ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

bool DoorAddress::loopback() const { return address.starts_with("127.") || address == "::1"; }

Result<DoorAddress> parse_door_address(std::string_view text, std::uint16_t port) {
  DoorAddress door{"127.0.0.1", port};
  const auto wrong = [&] {
    return fail(ErrorCode::usage, "'" + printable(text, 60) + "' is no address to listen on", "--sink",
                "Write PORT, ADDRESS:PORT or [V6]:PORT with numbers; :PORT is every address of this machine");
  };
  if (text.empty()) return door;
  const std::size_t colon = text.rfind(':');
  const std::string_view digits = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const auto number = parse_u64(digits);
  if (!number || *number > 65535 || digits.empty() || digits.front() < '0' || digits.front() > '9') return wrong();
  door.port = static_cast<std::uint16_t>(*number);
  if (colon == std::string_view::npos) return door;
  std::string_view host = text.substr(0, colon);
  if (host == "localhost") return door;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::array<unsigned char, 16> bytes{};
  door.address = std::string(host);
  const bool numeric = host.empty() || ::inet_pton(AF_INET, door.address.c_str(), bytes.data()) == 1 ||
                       ::inet_pton(AF_INET6, door.address.c_str(), bytes.data()) == 1;
  if (!numeric) return wrong();
  return door;
}

struct HttpDoor::State {
  Functions http;
  DoorPlan plan;
  std::function<HttpAnswer(const HttpQuestion&)> answer;
  Gate gate;
  mhd::Daemon* daemon = nullptr;
  std::uint16_t port = 0;
  double left = 0;  // requests that may come now; the door's thread alone
  std::int64_t refilled_ns = 0;
  struct Line {
    int fd;
    std::int64_t since_ns;  // its begin, or the end of its last request
  };
  std::mutex mutex;
  std::map<mhd::Connection*, Line> lines;

  explicit State(Gate&& checked) : gate(std::move(checked)) {}
  [[nodiscard]] HttpAnswer decide(mhd::Connection* connection, std::string_view path, std::string_view method);
  int respond(mhd::Connection* connection, const HttpAnswer& told);
  [[nodiscard]] bool may_come(std::int64_t now_ns);

  // What libmicrohttpd calls.
  static int access(void* object, mhd::Connection* connection, const char* url, const char* method, const char*,
                    const char*, std::size_t*, void**) {
    auto* state = static_cast<State*>(object);
    return state->respond(connection, state->decide(connection, url, method));
  }
  static void changed(void* object, mhd::Connection* connection, void**, int code) {
    auto* state = static_cast<State*>(object);
    const std::scoped_lock lock(state->mutex);
    if (code == mhd::notify_closed) {
      state->lines.erase(connection);
      return;
    }
    const int* fd = state->http.info(connection, mhd::info_connection_fd);
    if (fd != nullptr) state->lines[connection] = {*fd, steady_ns()};
  }
  static void completed(void* object, mhd::Connection* connection, void**, int) {
    auto* state = static_cast<State*>(object);
    const std::scoped_lock lock(state->mutex);
    if (const auto line = state->lines.find(connection); line != state->lines.end())
      line->second.since_ns = steady_ns();
  }
};

bool HttpDoor::State::may_come(std::int64_t now_ns) {
  if (refilled_ns == 0) left = plan.requests_at_once;
  if (refilled_ns != 0)
    left =
        std::min(plan.requests_at_once, left + static_cast<double>(now_ns - refilled_ns) * 1e-9 * plan.requests_per_s);
  refilled_ns = now_ns;
  if (left < 1) return false;
  left -= 1;
  return true;
}

HttpAnswer HttpDoor::State::decide(mhd::Connection* connection, std::string_view path, std::string_view method) {
  const std::int64_t now = steady_ns();
  if (!may_come(now)) return {429, "text/plain; charset=utf-8", "too many requests\n"};
  switch (gate.ask(http.look_up(connection, mhd::kind_header, "Authorization"), now)) {
    case Gate::Answer::refuse: return {401, "text/plain; charset=utf-8", "Unauthorized\n"};
    case Gate::Answer::too_often: return {429, "text/plain; charset=utf-8", "too many passwords\n"};
    case Gate::Answer::pass: break;
  }
  if (method != "GET" && method != "HEAD") return {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
  const char* accept = http.look_up(connection, mhd::kind_header, "Accept");
  return answer({path, accept == nullptr ? std::string_view() : std::string_view(accept)});
}

int HttpDoor::State::respond(mhd::Connection* connection, const HttpAnswer& told) {
  mhd::Response* response = http.create(told.body.size(), const_cast<char*>(told.body.data()), mhd::respmem_must_copy);
  if (response == nullptr) return mhd::no;
  (void)http.add_header(response, "Content-Type", told.content_type.c_str());
  if (told.status == 401) (void)http.add_header(response, "WWW-Authenticate", "Basic realm=\"prony\"");
  if (told.status == 405) (void)http.add_header(response, "Allow", "GET, HEAD");
  if (told.status == 429) (void)http.add_header(response, "Retry-After", "1");
  const int queued = http.queue(connection, told.status, response);
  http.destroy(response);
  return queued;
}

Result<std::unique_ptr<HttpDoor>> HttpDoor::open(DoorPlan plan, std::function<HttpAnswer(const HttpQuestion&)> answer) {
  auto functions = open_library();
  if (!functions) return Unexpected<Error>(functions.error());
  auto gate = Gate::make(plan.web);
  if (!gate) return Unexpected<Error>(gate.error());
  std::string key, certificate;
  const bool tls = !plan.web.certificate_file.empty();
  if (tls) {
    auto read_key = read_whole_file(plan.web.key_file, pem_limit);
    if (!read_key) return Unexpected<Error>(read_key.error());
    auto read_certificate = read_whole_file(plan.web.certificate_file, pem_limit);
    if (!read_certificate) return Unexpected<Error>(read_certificate.error());
    key = std::move(*read_key);
    certificate = std::move(*read_certificate);
    if (functions->has(mhd::feature_tls) != mhd::yes)
      return fail(ErrorCode::unavailable, "this libmicrohttpd was built without TLS", "tls_server_config");
  }
  auto socket = listen_on(plan);
  if (!socket) return Unexpected<Error>(socket.error());
  auto state = std::make_unique<State>(std::move(*gate));
  state->http = std::move(*functions);
  state->answer = std::move(answer);
  state->port = port_of(socket->get());
  state->plan = std::move(plan);
  const DoorPlan& p = state->plan;
  const unsigned flags = mhd::use_internal_polling_thread | mhd::use_auto | (tls ? mhd::use_tls : 0U);
  const char* versions =
      p.web.tls13_only ? "NORMAL:-VERS-ALL:+VERS-TLS1.3" : "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
  const auto begin = [&](auto... tls_options) {
    return state->http.start(flags, 0, nullptr, nullptr, &State::access, state.get(), mhd::option_listen_socket,
                             socket->get(), mhd::option_memory_limit, connection_bytes, mhd::option_connection_limit,
                             p.most_connections, mhd::option_per_ip_limit, p.most_per_address, mhd::option_timeout,
                             idle_s, mhd::option_notify_connection, &State::changed, static_cast<void*>(state.get()),
                             mhd::option_notify_completed, &State::completed, static_cast<void*>(state.get()),
                             tls_options..., mhd::option_end);
  };
  state->daemon = tls ? begin(mhd::option_https_key, key.c_str(), mhd::option_https_certificate, certificate.c_str(),
                              mhd::option_https_priorities, versions)
                      : begin();
  if (state->daemon == nullptr)
    return fail(ErrorCode::unavailable,
                tls ? "TLS did not start: are certificate and key a pair, in PEM?" : "HTTP did not start",
                tls ? p.web.certificate_file : p.address + ":" + std::to_string(p.port));
  (void)socket->release();  // the daemon closes it
  return std::unique_ptr<HttpDoor>(new HttpDoor(std::move(state)));
}

HttpDoor::HttpDoor(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpDoor::~HttpDoor() { state_->http.stop(state_->daemon); }

std::uint16_t HttpDoor::port() const noexcept { return state_->port; }

// A line's descriptor is open as long as it is in the list: closing waits for the lock.
void HttpDoor::sweep() {
  const std::int64_t now = steady_ns();
  const std::scoped_lock lock(state_->mutex);
  for (auto& [connection, line] : state_->lines)
    if (now - line.since_ns > state_->plan.most_request_ns) (void)::shutdown(line.fd, SHUT_RDWR);
}

}  // namespace prony
