// What a stream of an LLM server is made of: lines (NDJSON) or server-sent events (SSE), given in pieces of any size.
// The events are the same wherever the pieces are cut. Thread promise: one thread. Ownership: plain values. Errors:
// none of their own; what is no stream at all gives no event, which the reader of the answer tells as a failure.
// Sources: WHATWG HTML, "Server-sent events", parsing; ndjson-spec; lines up to 8 MiB as Ollama's own client takes
// them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace prony_http {

struct StreamEvent {
  std::string name;       // SSE's "event" field; "error" for a line of its own `error: {…}`; else empty
  std::string data;       // without its line end; of SSE all data lines of the event, joined by \n
  bool too_long = false;  // over the limit: data is cut, and its rest was passed over
};
using EventSink = std::function<void(StreamEvent&&)>;

class StreamParser {
 public:
  static constexpr std::size_t default_limit_bytes = std::size_t{8} << 20;

  virtual ~StreamParser() = default;
  // Calls `sink` for each event that is complete with these bytes.
  virtual void feed(std::string_view bytes, const EventSink& sink) = 0;
  // The stream is over. NDJSON: a last line without an end counts. SSE: an event without its empty line does too,
  // unlike in a browser, for servers that close right after their last line are many.
  virtual void finish(const EventSink& sink) = 0;
};

// Lines that end in \n or \r\n; empty ones are nothing.
class NdjsonParser final : public StreamParser {
 public:
  explicit NdjsonParser(std::size_t limit_bytes = default_limit_bytes) : limit_(limit_bytes) {}
  void feed(std::string_view bytes, const EventSink& sink) override;
  void finish(const EventSink& sink) override;

 private:
  void end_line(const EventSink& sink);

  std::size_t limit_;
  StreamEvent line_;
};

// Lines end in \n, \r\n or \r. Comments (":…"), ids and retry times are passed over; an `error:` line is an event at
// once, as builds of llama-server before September 2025 send it.
class SseParser final : public StreamParser {
 public:
  explicit SseParser(std::size_t limit_bytes = default_limit_bytes) : limit_(limit_bytes) {}
  void feed(std::string_view bytes, const EventSink& sink) override;
  void finish(const EventSink& sink) override;

 private:
  void end_line(const EventSink& sink);
  void dispatch(const EventSink& sink);

  std::size_t limit_;
  std::string line_;
  bool line_too_long_ = false, after_return_ = false, has_data_ = false, first_line_ = true;
  StreamEvent event_;
};

}  // namespace prony_http
