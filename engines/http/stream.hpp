// Stream: one prompt's way through a server: asked, its events read as they come, its outcome told once. Stamps are
// taken at the read, before any JSON. What of it becomes spans is record()'s business. Thread promise: one thread.
// Ownership: owns its exchange; server and dialect must outlive it. Errors: outcome() holds the failure; a stream
// without text, without its end, or with an error in it is one.
#pragma once

#include <prony/prony.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dialect.hpp"
#include "server.hpp"
#include "stream_parsers.hpp"

namespace prony_http {

struct StreamRequest {
  std::string id;
  PromptSettings settings;
  bool warm_up = false, keep_output = false;
  std::int64_t repeat = 1;
  std::int64_t timeout_ns = 0;                               // 0: none
  std::optional<std::int64_t> scheduled_ns;                  // when it was to be sent, on CLOCK_MONOTONIC
  std::optional<std::int64_t> level;                         // of the load that it belongs to
  std::int64_t cancel_after_ns = -1;                         // its client goes so long after it was sent; −1: it stays
  bool return_text = false;                                  // in the reply, not in the Run
  std::vector<std::pair<std::string, std::int64_t>> counts;  // of the driver's, for the span
  std::vector<std::pair<std::string, std::string>> attributes;
};

class Stream {
 public:
  Stream(StreamRequest request, Server& server, Dialect& dialect)
      : request_(std::move(request)), server_(server), dialect_(dialect) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Begins the span and sends the request, as far as the socket takes it.
  void begin();
  // To be called when its socket is ready, or its time is over.
  void advance();
  void cancel();
  [[nodiscard]] bool over() const noexcept { return over_; }
  [[nodiscard]] int fd() const noexcept { return exchange_ ? exchange_->fd() : -1; }
  [[nodiscard]] bool wants_to_write() const noexcept { return exchange_ && exchange_->wants_to_write(); }
  // Another connection has another number: the same descriptor may be another socket by now.
  [[nodiscard]] std::int64_t connection_number() const noexcept { return connection_number_; }
  [[nodiscard]] std::int64_t deadline_ns() const noexcept {  // 0: none
    return request_.timeout_ns > 0 ? sent_ns_ + request_.timeout_ns : 0;
  }
  // When its client goes; 0: it stays.
  [[nodiscard]] std::int64_t leaves_ns() const noexcept {
    return request_.cancel_after_ns >= 0 ? sent_ns_ + request_.cancel_after_ns : 0;
  }
  // Once over(): how many slots of the ring its spans take, at most.
  [[nodiscard]] std::size_t slots() const noexcept;
  // Once over(): writes the spans and gives the protocol's reply.
  [[nodiscard]] json record();

 private:
  void send(bool fresh);
  void take(const Exchange::Piece& piece);
  void take_event(StreamEvent&& event, const Exchange::Piece& piece);
  void end_of_answer();
  [[nodiscard]] std::unique_ptr<StreamParser> parser_for_answer() const;
  void fail(Failure failure);
  void finish();
  void end_span();
  [[nodiscard]] static bool has_room_for_end();
  [[nodiscard]] std::string finish_word() const;
  [[nodiscard]] bool call_off_if_due();
  void write_spans(prony_span span) const;
  void write_tokens(prony_span span) const;
  [[nodiscard]] bool each_chunk_is_told() const;
  [[nodiscard]] std::int64_t last_token_ns() const;
  void write_counts(prony_span span) const;

  StreamRequest request_;
  Server& server_;
  Dialect& dialect_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<StreamParser> parser_;
  std::string refused_body_;
  Answer answer_;
  struct Chunk {  // an event with text
    std::int64_t stamp_ns;
    std::int64_t tokens;  // of the answer until its end, as the server counts them; −1: not told
  };
  std::vector<Chunk> chunks_;
  bool all_kernel_stamped_ = true, reused_ = false, over_ = false, stopped_ = false, called_off_ = false,
       has_done_ = false, span_ended_ = false;
  std::int64_t sent_ns_ = 0, resent_ = 0, connection_number_ = 0;
  std::optional<std::int64_t> begun_ns_,
      end_ns_;                         // the server's first word of progress; the event that ended the answer
  std::int64_t stamped_together_ = 0;  // chunks that came in one read with a later one: its stamp is theirs
  prony_span span_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace prony_http
