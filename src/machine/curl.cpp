// The live machine's Network: libcurl, one connection cache per Network. Its multi interface is used so that a request
// can be given up from outside.
#include "machine/curl.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>

#include "base/text.hpp"
#include "machine/live_library.hpp"
#include "machine/network.hpp"

namespace prony {

namespace {

using curl::Handle;
using Clock = std::chrono::steady_clock;

constexpr int look_every_ms = 50;
constexpr std::size_t most_header_bytes = 64 * 1024;

// The functions as the library exports them; those with three dots must be called as such.
struct Calls {
  std::unique_ptr<Library> library;
  int (*global_init)(long) = nullptr;
  Handle* (*easy_init)() = nullptr;
  void (*easy_reset)(Handle*) = nullptr;
  void (*easy_cleanup)(Handle*) = nullptr;
  int (*easy_setopt)(Handle*, int, ...) = nullptr;
  int (*easy_getinfo)(Handle*, int, ...) = nullptr;
  const char* (*easy_strerror)(int) = nullptr;
  int (*easy_send)(Handle*, const void*, std::size_t, std::size_t*) = nullptr;
  int (*easy_recv)(Handle*, void*, std::size_t, std::size_t*) = nullptr;
  Handle* (*multi_init)() = nullptr;
  int (*multi_add)(Handle*, Handle*) = nullptr;
  int (*multi_remove)(Handle*, Handle*) = nullptr;
  int (*multi_perform)(Handle*, int*) = nullptr;
  int (*multi_poll)(Handle*, void*, unsigned, int, int*) = nullptr;
  curl::Message* (*multi_info_read)(Handle*, int*) = nullptr;
  int (*multi_cleanup)(Handle*) = nullptr;
  Handle* (*slist_append)(Handle*, const char*) = nullptr;
  void (*slist_free)(Handle*) = nullptr;
};

Result<Calls> load() {
  static constexpr std::array<std::string_view, 3> names{"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
  const std::string fix = "Install it:  sudo apt install curl";
  auto library = open_live_library(names);
  if (!library) return fail(ErrorCode::unavailable, "libcurl: " + library.error().what, library.error().where, fix);
  Calls calls;
  bool whole = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>((*library)->symbol(name).function);
    whole = whole && function != nullptr;
  };
  find(calls.global_init, "curl_global_init");
  find(calls.easy_init, "curl_easy_init");
  find(calls.easy_reset, "curl_easy_reset");
  find(calls.easy_cleanup, "curl_easy_cleanup");
  find(calls.easy_setopt, "curl_easy_setopt");
  find(calls.easy_getinfo, "curl_easy_getinfo");
  find(calls.easy_strerror, "curl_easy_strerror");
  find(calls.easy_send, "curl_easy_send");
  find(calls.easy_recv, "curl_easy_recv");
  find(calls.multi_init, "curl_multi_init");
  find(calls.multi_add, "curl_multi_add_handle");
  find(calls.multi_remove, "curl_multi_remove_handle");
  find(calls.multi_perform, "curl_multi_perform");
  find(calls.multi_poll, "curl_multi_poll");
  find(calls.multi_info_read, "curl_multi_info_read");
  find(calls.multi_cleanup, "curl_multi_cleanup");
  find(calls.slist_append, "curl_slist_append");
  find(calls.slist_free, "curl_slist_free_all");
  if (!whole || calls.global_init(curl::global_all) != 0)
    return fail(ErrorCode::unavailable, "this libcurl is older than 7.66, or broken", std::string((*library)->name()),
                fix);
  calls.library = std::move(*library);
  return calls;
}

// What comes in, and no more of it than was allowed.
struct Incoming {
  HttpResponse response;
  std::size_t most_bytes = 0, header_bytes = 0;
  bool too_long = false;
};

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* incoming) {
  auto& in = *static_cast<Incoming*>(incoming);
  if (in.response.body.size() + size * count > in.most_bytes) {
    in.too_long = true;
    return 0;
  }
  in.response.body.append(data, size * count);
  return size * count;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* incoming) {
  auto& in = *static_cast<Incoming*>(incoming);
  in.header_bytes += size * count;
  if (in.header_bytes > most_header_bytes) {
    in.too_long = true;
    return 0;
  }
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) in.response.headers.clear();  // of the answer that follows a challenge
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  std::string name(trim(line.substr(0, colon)));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  in.response.headers.emplace_back(std::move(name), std::string(trim(line.substr(colon + 1))));
  return size * count;
}

class CurlNetwork final : public Network {
 public:
  explicit CurlNetwork(Calls calls)
      : calls_(std::move(calls)), easy_(calls_.easy_init()), multi_(calls_.multi_init()) {}
  CurlNetwork(const CurlNetwork&) = delete;
  CurlNetwork& operator=(const CurlNetwork&) = delete;
  ~CurlNetwork() override {
    if (easy_ != nullptr) calls_.easy_cleanup(easy_);
    if (multi_ != nullptr) calls_.multi_cleanup(multi_);
  }
  [[nodiscard]] bool sound() const { return easy_ != nullptr && multi_ != nullptr; }

  [[nodiscard]] Result<HttpResponse> http(const HttpRequest& request) override;
  [[nodiscard]] Result<std::string> tcp(const TcpRequest& request) override;
  void interrupt() noexcept override { interrupted_.store(true); }

 private:
  template <class T>
  void set(int option, T value) {
    (void)calls_.easy_setopt(easy_, option, value);
  }
  void prepare(Duration deadline);
  [[nodiscard]] int transfer(Clock::time_point end);
  void leave();
  [[nodiscard]] Error error_of(int code, const std::string& where, bool own_ca) const;
  [[nodiscard]] bool wait_for_socket(short events, Clock::time_point end);
  [[nodiscard]] Result<std::string> talk(const TcpRequest& request, const std::string& where, Clock::time_point end);

  Calls calls_;
  Handle* easy_;
  Handle* multi_;
  std::array<char, curl::error_size> words_{};
  std::atomic<bool> interrupted_ = false;
};

void CurlNetwork::prepare(Duration deadline) {
  calls_.easy_reset(easy_);  // options alone: connections stay
  words_.fill('\0');
  set(curl::errorbuffer, words_.data());
  set(curl::nosignal, 1L);
  set(curl::quick_exit, 1L);  // a name that nobody answers for is not waited for
  set(curl::proxy, "");
  set(curl::followlocation, 0L);
  set(curl::timeout_ms, static_cast<long>(std::max<std::int64_t>(1, deadline.ns / 1'000'000)));
  set(curl::connecttimeout_ms, static_cast<long>(std::max<std::int64_t>(1, deadline.ns / 1'000'000)));
}

// Runs what is set; gives libcurl's code, or −1: interrupted. The caller takes the handle out again: leave().
int CurlNetwork::transfer(Clock::time_point end) {
  if (calls_.multi_add(multi_, easy_) != 0) return curl::no_connection;
  int code = -1;
  for (bool done = false; !done && !interrupted_.load();) {
    int running = 0, left = 0;
    if (calls_.multi_perform(multi_, &running) != 0) break;
    while (const curl::Message* message = calls_.multi_info_read(multi_, &left)) {
      code = message->data.result;
      done = true;
    }
    if (done) break;
    if (Clock::now() >= end) {
      code = curl::timed_out;
      break;
    }
    (void)calls_.multi_poll(multi_, nullptr, 0, look_every_ms, nullptr);
  }
  return code;
}

void CurlNetwork::leave() { (void)calls_.multi_remove(multi_, easy_); }

Error CurlNetwork::error_of(int code, const std::string& where, bool own_ca) const {
  const std::string said = words_[0] != '\0' ? std::string(words_.data())
                           : code < 0        ? std::string("interrupted")
                                             : std::string(calls_.easy_strerror(code));
  const std::string words = printable(said, 200);
  switch (code) {
    case -1: return {ErrorCode::gone, "interrupted", where, {}};
    case curl::bad_url: return {ErrorCode::usage, "is no address", where, {}};
    case curl::no_host:
      return {ErrorCode::absent, "no such host: " + words, where, "Name it by its number if its name is not known."};
    case curl::no_connection:
      return {ErrorCode::unavailable, "no connection: " + words, where, "Is it switched on, and in this network?"};
    case curl::timed_out: return {ErrorCode::transient, "no answer in time", where, "Is it switched on, and near?"};
    case curl::broken_off:
    case curl::no_answer:
    case curl::receive_failed: return {ErrorCode::transient, "broken off: " + words, where, {}};
    case curl::bad_certificate:
    case curl::bad_ca_file:
      return {ErrorCode::unavailable, "its certificate does not hold: " + words, where,
              own_ca ? "Is the file after ca= the one that signed it? It is PEM, and the name in the address must be\n"
                       "one that the certificate was made for."
                     : "Name the certificate that signed it:  #ca=FILE  (PEM). A device's own can be fetched with\n"
                       "openssl s_client -showcerts -connect HOST:443; compare its fingerprint at the device.\n"
                       "To go without a check, and trust whoever answers:  #insecure"};
    case curl::tls_failed: return {ErrorCode::unavailable, "TLS failed: " + words, where, {}};
    default: return {ErrorCode::transient, words, where, {}};
  }
}

Result<HttpResponse> CurlNetwork::http(const HttpRequest& request) {
  if (interrupted_.load()) return fail(ErrorCode::gone, "interrupted", request.url);
  const auto end = Clock::now() + std::chrono::nanoseconds(request.deadline.ns);
  prepare(request.deadline);
  Incoming incoming;
  incoming.most_bytes = request.most_bytes;
  const std::string address = request.url + request.secret_query;
  set(curl::url, address.c_str());
  set(curl::writefunction, &take_body);
  set(curl::writedata, static_cast<void*>(&incoming));
  set(curl::headerfunction, &take_header);
  set(curl::headerdata, static_cast<void*>(&incoming));
  set(curl::ssl_verifypeer, request.check_certificate ? 1L : 0L);
  set(curl::ssl_verifyhost, request.check_certificate ? 2L : 0L);
  if (!request.ca_file.empty()) set(curl::cainfo, request.ca_file.c_str());
  if (!request.user.empty()) {
    set(curl::httpauth, curl::basic_or_digest);
    set(curl::username, request.user.c_str());
    set(curl::password, request.password.c_str());
  }
  Handle* headers = nullptr;
  for (const std::string& header : request.headers) headers = calls_.slist_append(headers, header.c_str());
  if (headers != nullptr) set(curl::httpheader, headers);
  if (!request.body.empty()) {
    set(curl::postfieldsize, static_cast<long>(request.body.size()));
    set(curl::copypostfields, request.body.c_str());
  }
  if (request.method != "GET" && request.method != "POST") set(curl::customrequest, request.method.c_str());
  const int code = transfer(end);
  long status = 0;
  if (code == curl::ok) (void)calls_.easy_getinfo(easy_, curl::response_code, &status);
  leave();
  if (headers != nullptr) calls_.slist_free(headers);
  if (incoming.too_long)
    return fail(ErrorCode::full, "answers with more than " + std::to_string(request.most_bytes) + " bytes", request.url,
                "This is not the device that was named, or not a meter.");
  if (code != curl::ok) return Unexpected<Error>(error_of(code, request.url, !request.ca_file.empty()));
  incoming.response.status = status;
  return std::move(incoming.response);
}

bool CurlNetwork::wait_for_socket(short events, Clock::time_point end) {
  int socket = -1;
  if (calls_.easy_getinfo(easy_, curl::activesocket, &socket) != curl::ok || socket < 0) return false;
  while (!interrupted_.load() && Clock::now() < end) {
    pollfd waited{socket, events, 0};
    if (::poll(&waited, 1, look_every_ms) > 0) return true;
  }
  return false;
}

Result<std::string> CurlNetwork::tcp(const TcpRequest& request) {
  const std::string where = request.host + ":" + std::to_string(request.port);
  if (interrupted_.load()) return fail(ErrorCode::gone, "interrupted", where);
  const auto end = Clock::now() + std::chrono::nanoseconds(request.deadline.ns);
  prepare(request.deadline);
  const std::string address = "http://" + where;
  set(curl::url, address.c_str());
  set(curl::connect_only, 1L);
  const int code = transfer(end);
  auto answer = code == curl::ok ? talk(request, where, end)
                                 : Result<std::string>(Unexpected<Error>(error_of(code, where, false)));
  // A connection that was only made stays with its handle: a fresh handle for each.
  leave();
  calls_.easy_cleanup(easy_);
  easy_ = calls_.easy_init();
  if (easy_ == nullptr) return fail(ErrorCode::full, "libcurl has no memory", where);
  return answer;
}

// Over the connection that was made: what is to be said, and the whole answer.
Result<std::string> CurlNetwork::talk(const TcpRequest& request, const std::string& where, Clock::time_point end) {
  const auto late = [&] {
    return Unexpected<Error>(error_of(interrupted_.load() ? -1 : curl::timed_out, where, false));
  };
  for (std::size_t sent = 0; sent < request.send.size();) {
    std::size_t now = 0;
    const int code = calls_.easy_send(easy_, request.send.data() + sent, request.send.size() - sent, &now);
    if (code != curl::ok && code != curl::again) return Unexpected<Error>(error_of(code, where, false));
    sent += now;
    if (code == curl::again && !wait_for_socket(POLLOUT, end)) return late();
  }
  std::string answer;
  std::array<char, 4096> buffer;
  for (;;) {
    const std::size_t wanted = request.length ? request.length(answer) : 0;
    if (wanted > request.most_bytes || answer.size() > request.most_bytes)
      return fail(ErrorCode::full, "answers with more than " + std::to_string(request.most_bytes) + " bytes", where,
                  "This is not the device that was named, or not a meter.");
    if (wanted > 0 && answer.size() >= wanted) return answer.substr(0, wanted);
    std::size_t now = 0;
    const int code = calls_.easy_recv(easy_, buffer.data(), buffer.size(), &now);
    if (code == curl::again) {
      if (!wait_for_socket(POLLIN, end)) return late();
      continue;
    }
    if (code != curl::ok) return Unexpected<Error>(error_of(code, where, false));
    if (now == 0) return fail(ErrorCode::transient, "broken off in the middle of its answer", where);
    answer.append(buffer.data(), now);
  }
}

}  // namespace

Result<std::unique_ptr<Network>> open_live_network() {
  auto calls = load();
  if (!calls) return Unexpected<Error>(calls.error());
  auto network = std::make_unique<CurlNetwork>(std::move(*calls));
  if (!network->sound()) return fail(ErrorCode::full, "libcurl has no memory", "libcurl");
  return network;
}

}  // namespace prony
