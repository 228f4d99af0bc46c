#include "stream.hpp"

#include <algorithm>

#include "../shared/repetition.hpp"

namespace prony_http {

namespace {

constexpr std::size_t most_refusal_bytes = 1U << 20;
// They are written in one go, and no more fit into a ring between two looks of the recorder.
constexpr std::size_t most_token_spans = 4096;
// Tokens of one piece: a draft model proposes a few. Of more the server kept the text back (a thought, a call of a
// tool).
constexpr std::int64_t most_tokens_a_chunk = 64;

}  // namespace

void Stream::begin() {
  span_ = request_.warm_up ? prony_span_begin(PRONY_PHASE, "warm-up", 0)
                           : prony_span_begin(PRONY_REQUEST, request_.id.c_str(), 0);
  sent_ns_ = prony_now_ns();
  send(false);
}

void Stream::send(bool fresh) {
  parser_.reset();
  refused_body_.clear();
  auto begun = server_.begin(dialect_.prompt(request_.settings), fresh);
  if (!begun) return fail(begun.error());
  exchange_ = std::move(begun->exchange);
  ++connection_number_;
  reused_ = begun->reused;
  advance();
}

void Stream::fail(Failure failure) {
  if (over_) return;
  failure_ = std::move(failure);
  failure_->message = server_.showable(std::move(failure_->message));
  finish();
}

std::string Stream::finish_word() const {
  return failure_ ? "error" : called_off_ ? "cancelled" : stopped_ ? "stop" : answer_.finish;
}

// The span ends now, whenever the rest of it is written. In a full ring its end would be lost: then it ends with the
// rest.
void Stream::finish() {
  over_ = true;
  if (has_room_for_end()) end_span();
}

// A few slots; the ring may be full for good where the recorder was killed.
bool Stream::has_room_for_end() { return prony_span_room() >= 64; }

// With the word of how it ended: without it one that was called off would look answered.
void Stream::end_span() {
  if (!request_.warm_up) prony_span_attribute(span_, "finish", finish_word().c_str());
  prony_span_end(span_, failure_ ? PRONY_FAILED : PRONY_OK);
  span_ended_ = true;
}

void Stream::cancel() {
  if (over_) return;
  stopped_ = true;
  finish();
  exchange_.reset();  // the server sees the connection go and ends its work
}

std::unique_ptr<StreamParser> Stream::parser_for_answer() const {
  const std::string type = exchange_->response().header("content-type").value_or("");
  if (type.find("text/event-stream") != std::string::npos) return std::make_unique<SseParser>();
  // Ollama says ndjson; who says plain JSON or nothing has one document a line, or one altogether.
  return std::make_unique<NdjsonParser>();
}

void Stream::take(const Exchange::Piece& piece) {
  if (exchange_->response().status() != 200) {
    refused_body_.append(
        piece.bytes.substr(0, most_refusal_bytes - std::min(most_refusal_bytes, refused_body_.size())));
    return;
  }
  if (!parser_) parser_ = parser_for_answer();
  parser_->feed(piece.bytes, [&](StreamEvent&& event) { take_event(std::move(event), piece); });
}

void Stream::take_event(StreamEvent&& event, const Exchange::Piece& piece) {
  if (answer_.failure) return;
  if (event.too_long) {
    answer_.failure = Failure{"stream", "a line of the stream is longer than 8 MiB"};
    return;
  }
  if (event.data == "[DONE]") {
    has_done_ = true;
    return;
  }
  const json message = json::parse(event.data, nullptr, false);
  if (event.name == "error") {
    const auto told =
        told_error(message.is_object() && !message.contains("error") ? json{{"error", message}} : message, 500);
    answer_.failure = told ? *told : Failure{"internal", one_line(event.data)};
    return;
  }
  if (!message.is_object()) {
    answer_.failure =
        Failure{"stream", "the stream holds what is no JSON object: \"" + one_line(event.data, 60) + "\""};
    return;
  }
  const bool output = dialect_.read(message, answer_);
  if (answer_.prompt_tokens_so_far && !begun_ns_) begun_ns_ = piece.stamp_ns;
  if (answer_.ended && !end_ns_) end_ns_ = piece.stamp_ns;
  if (!output) return;
  if (!chunks_.empty() && chunks_.back().stamp_ns == piece.stamp_ns) ++stamped_together_;
  chunks_.push_back({piece.stamp_ns, answer_.output_tokens_so_far.value_or(-1)});
  all_kernel_stamped_ = all_kernel_stamped_ && piece.kernel_stamped;
}

// As a user who closes the window: the connection goes, the server ends its work or does not.
bool Stream::call_off_if_due() {
  if (request_.cancel_after_ns < 0 || prony_now_ns() - sent_ns_ < request_.cancel_after_ns) return false;
  called_off_ = true;
  finish();
  exchange_.reset();  // the server sees the connection go
  return true;
}

void Stream::advance() {
  if (over_ || !exchange_ || call_off_if_due()) return;
  const auto state = exchange_->advance([&](const Exchange::Piece& piece) { take(piece); });
  if (state == Exchange::State::going) {
    if (answer_.failure) return fail(*answer_.failure);  // nothing good comes after it
    if (deadline_ns() > 0 && prony_now_ns() >= deadline_ns())
      fail({"timeout",
            "the server did not finish within " + std::to_string(request_.timeout_ns / 1'000'000'000) + " s"});
    return;
  }
  if (state == Exchange::State::broken && reused_ && !exchange_->response().started())
    return send(true);  // the server had closed the kept connection before it got anything
  if (state == Exchange::State::broken && !(answer_.ended && exchange_->response().status() == 200))
    return fail(answer_.failure ? *answer_.failure : Failure{"unreachable", exchange_->error()});
  end_of_answer();
}

void Stream::end_of_answer() {
  const HttpResponse& response = exchange_->response();
  if (parser_) parser_->finish([&](StreamEvent&& event) { take_event(std::move(event), {{}, prony_now_ns(), false}); });
  server_.give_back(*exchange_);
  if (response.status() != 200) {
    if (resent_ < 4 && dialect_.ask_otherwise(response.status(), refused_body_)) {
      ++resent_;
      return send(false);
    }
    return fail(our_refusal(response.status(), refused_body_, response.header("retry-after").value_or("")));
  }
  if (answer_.failure) return fail(*answer_.failure);
  if (!answer_.ended)
    return fail({"stream", has_done_ ? "the stream says [DONE] and not why the answer ended"
                                     : "the stream ended before the answer did"});
  if (chunks_.empty()) return fail({"stream", "the answer holds no text"});
  finish();
}

void Stream::write_counts(prony_span span) const {
  const auto count = [&](const char* key, const std::optional<std::int64_t>& value) {
    if (value) prony_span_count(span, key, *value);
  };
  count("prompt_tokens", answer_.prompt_tokens);
  count("cached_tokens", answer_.cached_tokens);
  count("output_tokens", answer_.output_tokens);
  const bool whole = !failure_ && !stopped_ && !called_off_;
  if (!whole && !chunks_.empty() && chunks_.back().tokens >= 0) count("output_tokens_so_far", chunks_.back().tokens);
  if (!whole) count("prompt_tokens_so_far", answer_.prompt_tokens_so_far);
  if (begun_ns_) {  // the read's stamp may be later than the kernel's of what came next
    const std::int64_t latest = chunks_.empty() ? *begun_ns_ : std::min(*begun_ns_, chunks_.front().stamp_ns);
    count("begun_after_ns", std::max(latest - sent_ns_, std::int64_t{0}));
  }
  count("draft_tokens", answer_.draft_tokens);
  count("draft_accepted_tokens", answer_.draft_accepted_tokens);
  if (answer_.context_full) prony_span_count(span, "context_full", 1);
  count("server_load_ns", answer_.load_ns);
  count("server_queue_ns", answer_.queue_ns);
  count("server_prefill_ns", answer_.prefill_ns);
  count("server_decode_ns", answer_.decode_ns);
  count("server_total_ns", answer_.total_ns);
  count("scheduled_ns", request_.scheduled_ns);
  count("level", request_.level);
  prony_span_count(span, "chunks", static_cast<std::int64_t>(chunks_.size()));
  if (stamped_together_ > 0) prony_span_count(span, "chunks_stamped_together", stamped_together_);
  if (request_.repeat > 1) prony_span_count(span, "repeat", request_.repeat);
  if (called_off_) prony_span_count(span, "cancelled", 1);
  for (const auto& [key, value] : request_.counts) prony_span_count(span, key.c_str(), value);
  // Of the text: its pieces need not be tokens.
  if (const auto loop = prony_engine::repeated_tail(answer_.text, 96, 1024); loop.length > 0) {
    prony_span_count(span, "loop_bytes", static_cast<std::int64_t>(loop.length));
    prony_span_count(span, "answer_bytes", static_cast<std::int64_t>(answer_.text.size()));
  }
  if (resent_ > 0) prony_span_count(span, "asked_again", resent_);
}

void Stream::write_spans(prony_span span) const {
  if (chunks_.empty()) return;
  const std::int64_t first = std::max(chunks_.front().stamp_ns, sent_ns_), last = std::max(last_token_ns(), first);
  // The server tells how long prefill took; when it began is that long before the first text. Without it the span is of
  // all that came before, and says so.
  const bool told = answer_.prefill_ns && *answer_.prefill_ns > 0 && *answer_.prefill_ns <= first - sent_ns_;
  const prony_span prefill =
      prony_span_complete(PRONY_PREFILL, nullptr, span, told ? first - *answer_.prefill_ns : sent_ns_, first);
  if (!told) prony_span_attribute(prefill, "holds", "queue, network and prefill");
  // Of no length where all came in one piece: the last token is known then too.
  if (answer_.output_tokens != 1) prony_span_complete(PRONY_DECODE, nullptr, span, first, last);
  write_tokens(span);
}

// Each piece says how many tokens there were until then, and what it says can be.
bool Stream::each_chunk_is_told() const {
  if (chunks_.empty() || chunks_.front().tokens < 1) return false;
  std::int64_t before = 0;
  for (const Chunk& chunk : chunks_) {
    if (chunk.tokens < before || chunk.tokens - before > most_tokens_a_chunk) return false;
    before = chunk.tokens;
  }
  const std::int64_t after = answer_.output_tokens.value_or(before) - before;  // they had no text of their own
  return after >= 0 && after <= most_tokens_a_chunk;
}

// A last token without a text of its own (an end token, half a character) comes with the event that ends the answer.
std::int64_t Stream::last_token_ns() const {
  const Chunk& last = chunks_.back();
  const bool more = end_ns_ && each_chunk_is_told() && answer_.output_tokens && *answer_.output_tokens > last.tokens;
  return more ? std::max(*end_ns_, last.stamp_ns) : last.stamp_ns;
}

// A piece of the stream is not a token: where the server counts them, those of one piece came together; where it does
// not, each piece is taken for one only if they are as many.
void Stream::write_tokens(prony_span span) const {
  const bool told = each_chunk_is_told();
  const auto pieces = static_cast<std::int64_t>(chunks_.size());
  if (!told && answer_.output_tokens != pieces) return;
  const std::int64_t all = told ? answer_.output_tokens.value_or(chunks_.back().tokens) : pieces;
  if (all > static_cast<std::int64_t>(most_token_spans)) return;
  std::int64_t from = sent_ns_, written = 0;
  const auto write_until = [&](std::int64_t count, std::int64_t stamp_ns) {
    for (; written < count; ++written) {
      const std::int64_t to = std::max(stamp_ns, from);
      prony_span_complete(PRONY_TOKEN, nullptr, span, from, to);
      from = to;
    }
  };
  for (const Chunk& chunk : chunks_) write_until(told ? chunk.tokens : written + 1, chunk.stamp_ns);
  write_until(all, last_token_ns());
}

std::size_t Stream::slots() const noexcept {
  constexpr std::size_t around = 64, bytes_a_slot = 20;
  const std::size_t texts = request_.settings.text.size() + (request_.keep_output ? answer_.text.size() : 0);
  const std::size_t tokens =
      each_chunk_is_told()
          ? static_cast<std::size_t>(std::max(chunks_.back().tokens, answer_.output_tokens.value_or(0)))
          : chunks_.size();
  return around + std::min(texts, std::size_t{2} * 65535) / bytes_a_slot + std::min(tokens, most_token_spans);
}

json Stream::record() {
  const bool failed_here = failure_.has_value();
  const std::string finish = finish_word();
  if (span_ != 0 && !request_.warm_up) {
    write_spans(span_);
    write_counts(span_);
    prony_span_attribute(span_, "prompt", request_.settings.text.c_str());
    for (const auto& [key, value] : request_.attributes) prony_span_attribute(span_, key.c_str(), value.c_str());
    prony_span_attribute(span_, "stamps", all_kernel_stamped_ ? "kernel" : "read");
    if (failed_here) prony_span_attribute(span_, "error", failure_->message.c_str());
    if (request_.keep_output) {
      const std::string quoted = dump(json(answer_.text));  // valid UTF-8 whatever came
      prony_span_attribute(span_, "answer", json::parse(quoted).get<std::string>().c_str());
    }
  }
  // What has no room for its word and was called off stays without an end.
  if (!span_ended_ && (has_room_for_end() || !(stopped_ || called_off_))) end_span();
  if (failed_here)
    return {{"type", "error"},
            {"error", {{"code", failure_->code}, {"message", failure_->message}, {"id", request_.id}}}};
  json result = {{"type", "result"}, {"id", request_.id}, {"finish", finish}};
  if (answer_.prompt_tokens) result["prompt_tokens"] = *answer_.prompt_tokens;
  if (answer_.output_tokens) result["output_tokens"] = *answer_.output_tokens;
  if (request_.scheduled_ns) result["late_ns"] = sent_ns_ - *request_.scheduled_ns;
  if (!chunks_.empty()) result["ttft_ns"] = chunks_.front().stamp_ns - sent_ns_;
  if (chunks_.size() > 1) result["decode_ns"] = last_token_ns() - chunks_.front().stamp_ns;
  if (answer_.context_full) result["context_full"] = true;
  if (answer_.cached_tokens) result["cached_tokens"] = *answer_.cached_tokens;
  if (request_.keep_output || request_.return_text) result["text"] = answer_.text;
  return result;
}

}  // namespace prony_http
