// Watch: what the bytes of one client's connection say of its requests, read after they were passed on. It changes
// nothing and waits for nothing: where it cannot make sense of the bytes (an upgrade, HTTP that two readers could read
// in two ways), it says so of the request in hand and looks at nothing further, while the traffic goes on. Times are ns
// on CLOCK_MONOTONIC. What was not told is absent, with a reason. Thread promise: one thread. Ownership: plain values;
// the audience must outlive it. Errors: Seen::error, in words. Bounds: 64 requests on their way in one connection, 8
// MiB of an event or a document.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dialect.hpp"
#include "http_request.hpp"
#include "http_response.hpp"
#include "stream_parsers.hpp"

namespace prony_proxy {

// One request to a model, from its first byte to the end of its answer.
struct Seen {
  std::uint64_t number = 0;  // as the audience gave it
  std::string dialect;       // "ollama", "llama-server", "openai", "openai-responses", "anthropic"
  std::string path;          // without what follows a "?"
  std::string model;         // empty: nobody named one
  std::string outcome;       // "ok", "failed", "cancelled" (the client went first)
  std::string error;         // of the last two
  std::string finish;        // "length", "eos", or the server's own word
  std::string elsewhere;     // where the model runs, if the server says that it is another host's
  bool streamed = false;
  int status = 0;  // 0: no answer came
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t first_ns = 0, last_ns = 0;  // of a stream: when its first and last text came; 0: none did
  std::int64_t chunks = 0;                 // of a stream, with text
  std::optional<std::int64_t> prompt_tokens, cached_tokens, output_tokens, load_ns, queue_ns, prefill_ns, decode_ns;
  std::string no_tokens;  // why the counts are absent; empty: they are there, or the server told none
};

// Who is told of them. began(): the request is with the server (path, begin and perhaps model are known); gives its
// number. ended(): once for each of them, and nothing after it.
class Audience {
 public:
  virtual ~Audience() = default;
  [[nodiscard]] virtual std::uint64_t began(const Seen& seen) = 0;
  virtual void ended(Seen&& seen) = 0;
};

class Watch {
 public:
  explicit Watch(Audience& audience) : audience_(audience) {}

  void from_client(std::string_view bytes, std::int64_t stamp_ns);
  void from_server(std::string_view bytes, std::int64_t stamp_ns);
  // The connection is over; what was on its way was cancelled by the client or broken off by the server.
  void ended(bool by_client, std::int64_t stamp_ns);

  // Since when the head of a request is on its way; nullopt: none is half there.
  [[nodiscard]] std::optional<std::int64_t> head_since_ns() const noexcept;
  [[nodiscard]] bool busy() const noexcept { return !requests_.empty() || head_since_ns().has_value(); }
  // The next byte of the server begins the answer to a request to a model: its begin, else nullopt.
  [[nodiscard]] std::optional<std::int64_t> answer_begins() const noexcept;
  // A request waits for its answer, or nobody will know of any.
  [[nodiscard]] bool asked() const noexcept { return !requests_.empty() || !opaque_.empty(); }
  [[nodiscard]] std::uint64_t passed() const noexcept { return passed_; }           // requests that were to no model
  [[nodiscard]] const std::string& lost_sense() const noexcept { return opaque_; }  // why nothing more is read; or ""

 private:
  struct Request {
    Seen seen;
    bool to_model = false;
    const prony_http::Dialect* dialect = nullptr;  // null: read here
    prony_http::HttpResponse response;
    std::unique_ptr<prony_http::StreamParser> parser;
    prony_http::Answer answer;
    std::string document;
    std::vector<std::string> secrets;  // of the client, which the server may repeat
    bool document_cut = false, begun = false;
  };
  void begin_request(std::int64_t stamp_ns);
  void end_of_request_body();
  void take_body(Request& request, std::string_view bytes, std::int64_t stamp_ns);
  void begin_answer(Request& request);
  void take_event(Request& request, const std::string& data, const std::string& name, std::int64_t stamp_ns);
  void take_message(Request& request, const prony_http::json& message, std::int64_t stamp_ns);
  void take_document(Request& request, std::int64_t stamp_ns);
  void end_of_answer(std::int64_t stamp_ns);
  void judge(Request& request) const;
  void tell(Request& request);
  void give_up(const std::string& why, std::int64_t stamp_ns);

  Audience& audience_;
  HttpRequest reading_;
  std::int64_t reading_since_ns_ = 0;
  bool reading_queued_ = false;  // its head was read, so it stands at the end of requests_
  std::deque<Request> requests_;
  std::uint64_t passed_ = 0;
  std::string opaque_;
};

}  // namespace prony_proxy
