#include "sinks/http_door.hpp"

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "sinks/clocks.hpp"
#include "sinks/door_keeper.hpp"
#include "sinks/door_names.hpp"
#include "sinks/microhttpd_library.hpp"

namespace prony {

namespace {

namespace mhd = microhttpd;

constexpr std::size_t connection_bytes = 32768;  // request line and all headers together
constexpr std::size_t pem_limit = std::size_t{1} << 20;
constexpr Rate guesses_of_all = {3, 5}, guesses_of_an_address = {1, 5};  // passwords that have to be compared
constexpr std::chrono::seconds sweep_every{15};
constexpr const char* text_type = "text/plain; charset=utf-8";

}  // namespace

// A request while it comes in; libmicrohttpd carries the pointer from call to call.
struct Coming {
  std::string body;
  std::int64_t received_ns = 0;
  bool refused = false;
  std::optional<Guess> guess;      // what the keeper was asked
  std::atomic<bool> right{false};  // what it says, before the connection goes on
};

struct HttpDoor::State {
  mhd::Library http;
  DoorPlan plan;
  DoorNames names;
  std::function<HttpAnswer(const HttpQuestion&)> answer;
  Gate gate;
  RateLimit peers, all, guesses;  // the door's thread alone
  mhd::Daemon* daemon = nullptr;
  std::uint16_t port = 0;
  std::size_t bodies_bytes = 0;  // of all requests that are coming in; the door's thread alone
  struct Line {
    int fd;
    std::string peer;
    std::int64_t since_ns;  // its begin, or the end of its last request
  };
  std::mutex mutex;
  std::map<mhd::Connection*, Line> lines;
  std::unique_ptr<DoorKeeper> keeper;

  State(Gate&& checked, DoorPlan&& planned)
      : plan(std::move(planned)),
        names{plan.at.loopback(), own_host_name(), plan.names},
        gate(std::move(checked)),
        peers({}, plan.requests_of_an_address),
        all(plan.requests, {}),
        guesses(guesses_of_all, guesses_of_an_address) {}
  [[nodiscard]] std::optional<HttpAnswer> stranger(mhd::Connection* connection, Coming& coming, std::int64_t now_ns);
  [[nodiscard]] std::optional<HttpAnswer> misled(mhd::Connection* connection);
  [[nodiscard]] std::optional<HttpAnswer> refusal(mhd::Connection* connection, std::string_view path, Coming& coming);
  [[nodiscard]] std::optional<HttpAnswer> unfit(mhd::Connection* connection, std::string_view method);
  [[nodiscard]] HttpAnswer ask(mhd::Connection* connection, std::string_view path, std::string_view method,
                               const Coming& coming);
  int begin(mhd::Connection* connection, std::string_view path, std::string_view method, void** request);
  int go_on(mhd::Connection* connection, std::string_view path, std::string_view method, Coming& coming);
  int respond(mhd::Connection* connection, const HttpAnswer& told);
  int refuse(mhd::Connection* connection, Coming& coming, const HttpAnswer& told);
  int take(Coming& coming, const char* upload, std::size_t* size);
  void sweep();
  [[nodiscard]] std::string peer(mhd::Connection* connection);

  // What libmicrohttpd calls: with the headers, once more with them after a connection was held, for each part of a
  // body, and when all of it is here. Nothing may be thrown through it, for it is C.
  static int access(void* object, mhd::Connection* connection, const char* url, const char* method, const char*,
                    const char* upload, std::size_t* size, void** request) {
    auto* state = static_cast<State*>(object);
    try {
      if (*request == nullptr) return state->begin(connection, url, method, request);
      auto& coming = *static_cast<Coming*>(*request);
      if (*size > 0) return state->take(coming, upload, size);
      if (coming.refused) return mhd::yes;  // its answer is on the way
      if (coming.guess) return state->go_on(connection, url, method, coming);
      return state->respond(connection, state->ask(connection, url, method, coming));
    } catch (const std::exception&) {  // out of memory: there is none for an answer, either
      return mhd::no;
    }
  }
  static void changed(void* object, mhd::Connection* connection, void**, int code) {
    auto* state = static_cast<State*>(object);
    const std::scoped_lock lock(state->mutex);
    if (code == mhd::notify_closed) {
      state->lines.erase(connection);
      return;
    }
    const int* fd = state->http.info(connection, mhd::info_connection_fd);
    if (fd == nullptr) return;
    try {
      state->lines[connection] = {*fd, peer_of(*fd), steady_clock_ns()};
    } catch (const std::exception&) {  // out of memory: a connection that nobody looks after is none
      (void)::shutdown(*fd, SHUT_RDWR);
    }
  }
  static void completed(void* object, mhd::Connection* connection, void** request, int) {
    auto* state = static_cast<State*>(object);
    if (const std::unique_ptr<Coming> coming(static_cast<Coming*>(*request)); coming)
      state->bodies_bytes -= coming->body.size();
    *request = nullptr;
    const std::scoped_lock lock(state->mutex);
    if (const auto line = state->lines.find(connection); line != state->lines.end())
      line->second.since_ns = steady_clock_ns();
  }
};

std::string HttpDoor::State::peer(mhd::Connection* connection) {
  const std::scoped_lock lock(mutex);
  const auto line = lines.find(connection);
  return line == lines.end() ? std::string() : line->second.peer;
}

// A part of a body. Too much of it cannot be answered any more, so the connection is cut.
int HttpDoor::State::take(Coming& coming, const char* upload, std::size_t* size) {
  const std::size_t more = std::exchange(*size, 0);
  if (coming.refused) return mhd::yes;
  if (coming.body.size() + more > plan.most_body_bytes || bodies_bytes + more > plan.most_bodies_bytes) return mhd::no;
  coming.body.append(upload, more);
  bodies_bytes += more;
  return mhd::yes;
}

// By the header Authorization. nullopt: may pass, or has to wait for the keeper, who is asked then.
std::optional<HttpAnswer> HttpDoor::State::stranger(mhd::Connection* connection, Coming& coming, std::int64_t now_ns) {
  if (plan.tokens.empty() && gate.open()) return std::nullopt;
  const char* header = http.look_up(connection, mhd::kind_header, "Authorization");
  const std::string_view given = header == nullptr ? std::string_view() : std::string_view(header);
  const bool bearer = given.size() > 7 && !nearest_names(given.substr(0, 7), {"bearer "}, 1, 0).empty();
  const HttpAnswer unknown{401, text_type, "Unauthorized\n"};
  if (bearer && !plan.tokens.empty()) {
    bool known = false;  // each is looked at, whichever it is
    for (const std::string& token : plan.tokens) known = same_secret(token, given.substr(7)) || known;
    return known ? std::nullopt : std::optional(unknown);
  }
  if (gate.open()) return unknown;
  Gate::Look look = gate.look(header);
  if (look.answer == Gate::Answer::pass) return std::nullopt;
  if (look.answer == Gate::Answer::refuse) return unknown;
  const HttpAnswer later{429, text_type, "too many passwords\n"};
  if (!guesses.may(peer(connection), now_ns)) return later;
  coming.guess = look.guess;
  const bool asked = keeper->ask(
      std::move(look.guess), [&] { http.suspend(connection); },
      [this, connection, &coming](bool right) {  // a held connection, and its request, stay until they are let go
        coming.right = right;
        http.resume(connection);
      });
  if (asked) return std::nullopt;
  coming.guess.reset();
  return later;
}

// By the names in the headers Host and Origin; nullopt: it is meant for this door.
std::optional<HttpAnswer> HttpDoor::State::misled(mhd::Connection* connection) {
  const char* host = http.look_up(connection, mhd::kind_header, "Host");
  const std::string_view asked = host == nullptr ? std::string_view() : std::string_view(host);
  if (host != nullptr && !names.answer_to(asked))
    return HttpAnswer{421, text_type, "this door is asked for by another name; answer-to adds one\n"};
  const char* origin = http.look_up(connection, mhd::kind_header, "Origin");
  if (origin != nullptr && names.foreign(origin, asked)) return HttpAnswer{403, text_type, "not for pages of others\n"};
  return std::nullopt;
}

// Who may not ask; nullopt: may, unless the keeper was asked (coming.guess).
std::optional<HttpAnswer> HttpDoor::State::refusal(mhd::Connection* connection, std::string_view path, Coming& coming) {
  const std::int64_t now = steady_clock_ns();
  const HttpAnswer later{429, text_type, "too many requests\n"};
  if (!peers.may(peer(connection), now)) return later;
  if (auto refused = misled(connection)) return refused;
  if (!plan.for_anybody || !plan.for_anybody(path))
    if (auto refused = stranger(connection, coming, now)) return refused;
  if (!coming.guess && !all.may({}, now)) return later;
  return std::nullopt;
}

// What can be said of who may ask before a body is read; nullopt: it may come.
std::optional<HttpAnswer> HttpDoor::State::unfit(mhd::Connection* connection, std::string_view method) {
  if (method == "GET" || method == "HEAD") return std::nullopt;
  if (plan.most_body_bytes == 0) return HttpAnswer{405, text_type, "only GET and HEAD\n"};
  if (method != "POST") return HttpAnswer{405, text_type, "only GET, HEAD and POST\n"};
  const char* length = http.look_up(connection, mhd::kind_header, "Content-Length");
  const auto bytes = length == nullptr ? std::optional<std::uint64_t>(0) : parse_u64(length);
  if (!bytes || *bytes > plan.most_body_bytes)
    return HttpAnswer{413, text_type, "at most " + std::to_string(plan.most_body_bytes) + " bytes\n"};
  if (bodies_bytes + *bytes > plan.most_bodies_bytes) return HttpAnswer{503, text_type, "too much is coming in\n"};
  return std::nullopt;
}

int HttpDoor::State::begin(mhd::Connection* connection, std::string_view path, std::string_view method,
                           void** request) {
  auto made = std::make_unique<Coming>();
  made->received_ns = wall_clock_ns();
  Coming& coming = *made;
  *request = made.release();  // completed() takes it back
  if (const auto refused = refusal(connection, path, coming)) return refuse(connection, coming, *refused);
  if (coming.guess) return mhd::yes;  // held until the keeper has said
  if (const auto refused = unfit(connection, method)) return refuse(connection, coming, *refused);
  if (method == "POST") return mhd::yes;
  return respond(connection, ask(connection, path, method, coming));
}

// The headers once more, for the keeper has said.
int HttpDoor::State::go_on(mhd::Connection* connection, std::string_view path, std::string_view method,
                           Coming& coming) {
  Guess guess = std::move(*coming.guess);
  coming.guess.reset();
  if (!coming.right) return refuse(connection, coming, {401, text_type, "Unauthorized\n"});
  gate.remember(std::move(guess));
  if (!all.may({}, steady_clock_ns())) return refuse(connection, coming, {429, text_type, "too many requests\n"});
  if (const auto refused = unfit(connection, method)) return refuse(connection, coming, *refused);
  if (method == "POST") return mhd::yes;
  return respond(connection, ask(connection, path, method, coming));
}

HttpAnswer HttpDoor::State::ask(mhd::Connection* connection, std::string_view path, std::string_view method,
                                const Coming& coming) {
  const char* accept = http.look_up(connection, mhd::kind_header, "Accept");
  try {
    return answer({path, accept == nullptr ? std::string_view() : std::string_view(accept),
                   method == "POST" ? "POST" : "GET", coming.body, coming.received_ns});
  } catch (const std::exception&) {
    return {500, text_type, "this request met a mistake in Prony; the next may work\n"};
  }
}

int HttpDoor::State::refuse(mhd::Connection* connection, Coming& coming, const HttpAnswer& told) {
  coming.refused = true;
  return respond(connection, told);
}

int HttpDoor::State::respond(mhd::Connection* connection, const HttpAnswer& told) {
  mhd::Response* response = http.create(told.body.size(), const_cast<char*>(told.body.data()), mhd::respmem_must_copy);
  if (response == nullptr) return mhd::no;
  (void)http.add_header(response, "Content-Type", told.content_type.c_str());
  if (told.status == 401)
    (void)http.add_header(response, "WWW-Authenticate", gate.open() ? "Bearer" : "Basic realm=\"prony\"");
  if (told.status == 405)
    (void)http.add_header(response, "Allow", plan.most_body_bytes == 0 ? "GET, HEAD" : "GET, HEAD, POST");
  if (told.status == 429 || told.status == 503) (void)http.add_header(response, "Retry-After", "1");
  const int queued = http.queue(connection, told.status, response);
  http.destroy(response);
  return queued;
}

Result<std::unique_ptr<HttpDoor>> HttpDoor::open(DoorPlan plan, std::function<HttpAnswer(const HttpQuestion&)> answer) {
  auto functions = mhd::open_library();
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
  auto socket = listen_on(plan.at, plan.when_taken);
  if (!socket) return Unexpected<Error>(socket.error());
  auto state = std::make_unique<State>(std::move(*gate), std::move(plan));
  state->http = std::move(*functions);
  state->answer = std::move(answer);
  state->port = port_of(socket->get());
  state->keeper =
      std::make_unique<DoorKeeper>([one = state.get()](const Guess& guess) { return one->gate.compare(guess); },
                                   [one = state.get()] { one->sweep(); }, sweep_every);
  const DoorPlan& p = state->plan;
  const auto idle_s = static_cast<unsigned>(std::max<std::int64_t>(1, p.most_request_ns / 1'000'000'000));
  const unsigned flags =
      mhd::use_internal_polling_thread | mhd::use_auto | mhd::allow_suspend_resume | (tls ? mhd::use_tls : 0U);
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
                tls ? p.web.certificate_file : p.at.text());
  (void)socket->release();  // the daemon closes it
  return std::unique_ptr<HttpDoor>(new HttpDoor(std::move(state)));
}

HttpDoor::HttpDoor(std::unique_ptr<State> state) : state_(std::move(state)) {}

// Whoever is held is let go first: libmicrohttpd does not stop while there is one.
HttpDoor::~HttpDoor() {
  state_->keeper->close();
  state_->http.stop(state_->daemon);
}

std::uint16_t HttpDoor::port() const noexcept { return state_->port; }

std::string HttpDoor::url() const {
  return (state_->plan.web.certificate_file.empty() ? "http://" : "https://") +
         DoorAddress{state_->plan.at.address, state_->port}.text();
}

void HttpDoor::sweep() { state_->sweep(); }

// A line's descriptor is open as long as it is in the list: closing waits for the lock.
void HttpDoor::State::sweep() {
  const std::int64_t now = steady_clock_ns();
  const std::scoped_lock lock(mutex);
  for (auto& [connection, line] : lines)
    if (now - line.since_ns > plan.most_request_ns) (void)::shutdown(line.fd, SHUT_RDWR);
}

}  // namespace prony
