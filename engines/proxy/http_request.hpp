// HttpRequest: an HTTP/1.1 request read incrementally from bytes that were already passed on: method, target, headers
// and where its body ends. It never decides what is forwarded, only what is known of it; a request of which two readers
// could think two things (both Content-Length and Transfer-Encoding, a chunk without a length, a header line that is
// folded) is an error, after which nothing more of the connection is understood. Thread promise: one thread. Errors:
// error() in words. Bounds: 64 KiB of head, of trailers, and of the body that is kept. Source: RFC 9112 (§3, §5, §6,
// §7.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prony_proxy {

class HttpRequest {
 public:
  static constexpr std::size_t most_head_bytes = 64 * 1024, most_kept_bytes = 64 * 1024;

  // Takes bytes as they came; gives those that follow a complete request, and what comes after an error.
  std::string_view feed(std::string_view bytes);

  [[nodiscard]] bool started() const noexcept { return started_; }  // a byte came that is no empty line
  [[nodiscard]] bool has_head() const noexcept { return state_ > State::headers; }
  [[nodiscard]] bool complete() const noexcept { return state_ == State::complete; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }  // empty: none
  [[nodiscard]] const std::string& method() const noexcept { return method_; }
  [[nodiscard]] const std::string& target() const noexcept { return target_; }  // as it came: "/api/chat?x=1"
  // The value of a header by its name in lower case; nullopt: it is not there.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
  // The body, or nullopt where it was longer than what is kept.
  [[nodiscard]] std::optional<std::string_view> body() const noexcept;
  [[nodiscard]] std::uint64_t body_bytes() const noexcept { return body_bytes_; }  // without what frames it

 private:
  enum class State { request_line, headers, length, chunk_size, chunk_data, chunk_end, trailers, complete, failed };

  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void take_header(std::string_view line);
  void end_of_head();
  void take_chunk_size(std::string_view line);
  std::string_view take_content(std::string_view bytes);
  void fail(std::string words);

  State state_ = State::request_line;
  bool started_ = false, kept_whole_ = true;
  std::string method_, target_, line_, error_, kept_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::size_t head_bytes_ = 0;
  std::uint64_t left_ = 0, body_bytes_ = 0;
};

}  // namespace prony_proxy
