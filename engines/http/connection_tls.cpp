// TLS by libcurl: it connects, goes through a proxy where https_proxy says so, checks the certificate and hands on
// bytes (CURLOPT_CONNECT_ONLY). Opened at run time by the first https address, so that the worker starts without it.
// Option numbers are those of curl/curl.h, which libcurl's ABI policy keeps (so-name 4 since 2006).
#include <dlfcn.h>

#include <algorithm>
#include <array>

#include "connection.hpp"

namespace prony_http {

namespace {

constexpr int option_url = 10002, option_errorbuffer = 10010, option_cainfo = 10065, option_nosignal = 99,
              option_connect_only = 141, option_timeout_ms = 155, option_connecttimeout_ms = 156,
              info_activesocket = 0x500000 + 44;
constexpr int code_ok = 0, code_again = 81, code_bad_certificate = 60, code_bad_ca_file = 77;

// The functions as the library exports them; those with three dots must be called as such. Never closed: libcurl's
// threads and TLS back-ends do not like to be unloaded.
struct Curl {
  int (*global_init)(long) = nullptr;
  void* (*easy_init)() = nullptr;
  void (*easy_cleanup)(void*) = nullptr;
  int (*easy_setopt)(void*, int, ...) = nullptr;
  int (*easy_getinfo)(void*, int, ...) = nullptr;
  int (*easy_perform)(void*) = nullptr;
  const char* (*easy_strerror)(int) = nullptr;
  int (*easy_send)(void*, const void*, std::size_t, std::size_t*) = nullptr;
  int (*easy_recv)(void*, void*, std::size_t, std::size_t*) = nullptr;
};

Fallible<Curl> load_curl() {
  void* library = nullptr;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"}) {
    library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
  }
  if (library == nullptr) return failed("unreachable", "https needs libcurl, which is not here: sudo apt install curl");
  Curl curl;
  bool whole = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    whole = whole && function != nullptr;
  };
  find(curl.global_init, "curl_global_init");
  find(curl.easy_init, "curl_easy_init");
  find(curl.easy_cleanup, "curl_easy_cleanup");
  find(curl.easy_setopt, "curl_easy_setopt");
  find(curl.easy_getinfo, "curl_easy_getinfo");
  find(curl.easy_perform, "curl_easy_perform");
  find(curl.easy_strerror, "curl_easy_strerror");
  find(curl.easy_send, "curl_easy_send");
  find(curl.easy_recv, "curl_easy_recv");
  if (!whole || curl.global_init(3) != 0) return failed("unreachable", "this libcurl is too old or broken");
  return curl;
}

class TlsConnection final : public Connection {
 public:
  TlsConnection(Curl curl, void* easy) : curl_(curl), easy_(easy) {}
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;
  ~TlsConnection() override { curl_.easy_cleanup(easy_); }

  [[nodiscard]] Fallible<void> open(const Url& url, const std::string& ca_file, std::int64_t timeout_ns) {
    const std::string place = url.text();
    const long ms = static_cast<long>(std::max<std::int64_t>(1, timeout_ns / 1'000'000));
    (void)curl_.easy_setopt(easy_, option_url, place.c_str());
    (void)curl_.easy_setopt(easy_, option_errorbuffer, words_.data());
    (void)curl_.easy_setopt(easy_, option_nosignal, 1L);
    (void)curl_.easy_setopt(easy_, option_connect_only, 1L);
    (void)curl_.easy_setopt(easy_, option_timeout_ms, ms);
    (void)curl_.easy_setopt(easy_, option_connecttimeout_ms, ms);
    if (!ca_file.empty()) (void)curl_.easy_setopt(easy_, option_cainfo, ca_file.c_str());
    const int code = curl_.easy_perform(easy_);
    if (code != code_ok || curl_.easy_getinfo(easy_, info_activesocket, &socket_) != code_ok || socket_ < 0) {
      const std::string said = words_[0] != '\0' ? std::string(words_.data()) : std::string(curl_.easy_strerror(code));
      const bool certificate = code == code_bad_certificate || code == code_bad_ca_file;
      return failed(
          "unreachable",
          place + ": " + said + (certificate ? " (a private authority's certificate is named by --ca-file FILE)" : ""));
    }
    return {};
  }

  [[nodiscard]] int fd() const noexcept override { return socket_; }

  [[nodiscard]] std::optional<std::size_t> send(std::string_view bytes) override {
    std::size_t taken = 0;
    const int code = curl_.easy_send(easy_, bytes.data(), bytes.size(), &taken);
    if (code == code_ok) return taken;
    return code == code_again ? std::optional<std::size_t>(0) : std::nullopt;
  }

  [[nodiscard]] Received receive(char* buffer, std::size_t size) override {
    Received result;
    const int code = curl_.easy_recv(easy_, buffer, size, &result.bytes);
    if (code == code_again) return result;
    result.stamp_ns = monotonic_ns();
    result.kind = code != code_ok     ? Received::Kind::broken
                  : result.bytes == 0 ? Received::Kind::closed
                                      : Received::Kind::data;
    if (code != code_ok) result.words = curl_.easy_strerror(code);
    return result;
  }

 private:
  Curl curl_;
  void* easy_;
  int socket_ = -1;  // libcurl's
  std::array<char, 256> words_{};
};

}  // namespace

Fallible<std::unique_ptr<Connection>> connect_tls(const Url& url, const std::string& ca_file, std::int64_t timeout_ns) {
  const auto curl = load_curl();  // dlopen counts: the second time it is cheap
  if (!curl) return tl::unexpected<Failure>(curl.error());
  void* easy = curl->easy_init();
  if (easy == nullptr) return failed("unreachable", "libcurl could not be set up");
  auto connection = std::make_unique<TlsConnection>(*curl, easy);
  if (auto opened = connection->open(url, ca_file, timeout_ns); !opened) return tl::unexpected<Failure>(opened.error());
  return connection;
}

}  // namespace prony_http
