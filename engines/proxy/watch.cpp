#include "watch.hpp"

#include <algorithm>
#include <array>

#include "header_text.hpp"
#include "interface.hpp"
#include "remote_model.hpp"
#include "secrets.hpp"

namespace prony_proxy {

using prony_http::json;
using prony_http::member;
using prony_http::text_of;
using prony_http::whole;

namespace {

constexpr std::size_t most_requests = 64, most_document_bytes = std::size_t{8} << 20;

std::string_view path_of(std::string_view target) { return target.substr(0, target.find_first_of("?#")); }

// What its client proves itself with: whole, and without the scheme before it ("Bearer …").
std::vector<std::string> secrets_of(const HttpRequest& request) {
  std::vector<std::string> secrets;
  for (const char* name : {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"}) {
    const auto value = request.header(name);
    if (!value || value->empty()) continue;
    const std::size_t blank = value->find(' ');
    if (blank != std::string::npos) secrets.emplace_back(prony_http::trimmed(std::string_view(*value).substr(blank)));
    secrets.push_back(*value);
  }
  return secrets;
}

}  // namespace

std::optional<std::int64_t> Watch::head_since_ns() const noexcept {
  if (!opaque_.empty() || !reading_.started() || reading_.has_head()) return std::nullopt;
  return reading_since_ns_;
}

std::optional<std::int64_t> Watch::answer_begins() const noexcept {
  if (!opaque_.empty() || requests_.empty()) return std::nullopt;
  const Request& first = requests_.front();
  if (!first.to_model || first.response.started()) return std::nullopt;
  return first.seen.begin_ns;
}

void Watch::give_up(const std::string& why, std::int64_t stamp_ns) {
  opaque_ = why;
  for (Request& request : requests_) {
    request.seen.end_ns = stamp_ns;
    request.seen.outcome = "failed";
    request.seen.error = why;
    tell(request);
  }
  requests_.clear();
}

void Watch::tell(Request& request) {
  if (!request.to_model) {
    ++passed_;
    return;
  }
  // Both may come of one round of the loop, whose time is older than the stamp of the read that began it.
  request.seen.end_ns = std::max({request.seen.end_ns, request.seen.begin_ns, request.seen.last_ns});
  if (request.seen.number == 0) request.seen.number = audience_.began(request.seen);
  audience_.ended(std::move(request.seen));
}

void Watch::begin_request(std::int64_t stamp_ns) {
  if (requests_.size() >= most_requests)
    return give_up("more than 64 requests were sent ahead of their answers", stamp_ns);
  Request& request = requests_.emplace_back();
  request.seen.path = std::string(path_of(reading_.target()));
  request.seen.begin_ns = reading_since_ns_;
  const Interface* spoken = reading_.method() == "POST" ? interface_of(request.seen.path) : nullptr;
  request.to_model = spoken != nullptr;
  if (spoken != nullptr) {
    request.seen.dialect = spoken->name;
    request.dialect = spoken->dialect;
    request.seen.path = prony_http::one_line(request.seen.path, 120);
    request.secrets = secrets_of(reading_);
  }
  if (reading_.method() == "HEAD") request.response.of_head();
  reading_queued_ = true;
}

// The answer may have come before the request was whole: then it stands no more in the queue.
void Watch::end_of_request_body() {
  if (reading_queued_ && !requests_.empty() && requests_.back().to_model && requests_.back().seen.number == 0) {
    Seen& seen = requests_.back().seen;
    if (const auto body = reading_.body(); body && seen.model.empty()) seen.model = model_in(*body);
    seen.number = audience_.began(seen);
  }
  reading_ = HttpRequest();
  reading_queued_ = false;
}

void Watch::from_client(std::string_view bytes, std::int64_t stamp_ns) {
  while (opaque_.empty() && !bytes.empty()) {
    const bool fresh = !reading_.started();
    bytes = reading_.feed(bytes);
    if (fresh && reading_.started()) reading_since_ns_ = stamp_ns;
    if (reading_.has_head() && !reading_queued_ && reading_.error().empty()) begin_request(stamp_ns);
    if (!opaque_.empty()) return;
    if (!reading_.error().empty()) return give_up(std::string(reading_.error()), stamp_ns);
    if (reading_.complete()) end_of_request_body();
  }
}

void Watch::from_server(std::string_view bytes, std::int64_t stamp_ns) {
  while (opaque_.empty() && !bytes.empty()) {
    if (requests_.empty()) return give_up("the server spoke before it was asked", stamp_ns);
    Request& request = requests_.front();
    bytes = request.response.feed(bytes, [&](std::string_view part) { take_body(request, part, stamp_ns); });
    if (!request.response.error().empty()) return give_up(std::string(request.response.error()), stamp_ns);
    if (request.response.complete()) end_of_answer(stamp_ns);
  }
}

void Watch::ended(bool by_client, std::int64_t stamp_ns) {
  if (!opaque_.empty()) return;
  if (!requests_.empty() && !by_client) {
    prony_http::HttpResponse& response = requests_.front().response;
    if (response.close() && response.complete()) end_of_answer(stamp_ns);  // its body went up to the close
  }
  for (Request& request : requests_) {
    request.seen.end_ns = stamp_ns;
    request.seen.status = request.response.status();
    request.seen.outcome = by_client ? "cancelled" : "failed";
    request.seen.error = by_client ? "the client closed the connection before the answer was whole"
                         : request.response.error().empty() ? "the server closed the connection without an answer"
                                                            : request.response.error();
    tell(request);
  }
  requests_.clear();
  opaque_ = "the connection is over";
}

void Watch::begin_answer(Request& request) {
  request.begun = true;
  const std::string type = request.response.header("content-type").value_or("");
  const std::string coding = request.response.header("content-encoding").value_or("");
  if (!coding.empty() && coding != "identity") {
    request.seen.no_tokens = "the answer is compressed (" + prony_http::one_line(coding, 40) + ")";
    return;
  }
  if (type.find("text/event-stream") != std::string::npos)
    request.parser = std::make_unique<prony_http::SseParser>();
  else if (type.find("ndjson") != std::string::npos)
    request.parser = std::make_unique<prony_http::NdjsonParser>();
  request.seen.streamed = request.parser != nullptr;
}

void Watch::take_body(Request& request, std::string_view bytes, std::int64_t stamp_ns) {
  if (!request.to_model) return;
  if (!request.begun) begin_answer(request);
  if (!request.seen.no_tokens.empty()) return;
  if (request.parser) {
    request.parser->feed(bytes, [&](prony_http::StreamEvent&& event) {
      if (event.too_long)
        request.seen.no_tokens = "an event of the stream is longer than 8 MiB";
      else
        take_event(request, event.data, event.name, stamp_ns);
    });
    return;
  }
  const std::size_t room = most_document_bytes - std::min(most_document_bytes, request.document.size());
  request.document.append(bytes.substr(0, room));
  request.document_cut = request.document_cut || bytes.size() > room;
}

void Watch::take_event(Request& request, const std::string& data, const std::string& name, std::int64_t stamp_ns) {
  if (data == "[DONE]" || request.answer.failure) return;
  const json message = json::parse(data, nullptr, false);
  if (name == "error" || !message.is_object()) {
    const json wrapped = message.is_object() && !message.contains("error") ? json{{"error", message}} : message;
    request.answer.failure = prony_http::told_error(wrapped, 500);
    if (!request.answer.failure)
      request.answer.failure =
          prony_http::Failure{"stream", "the stream holds what is no JSON object: " + prony_http::one_line(data, 60)};
    return;
  }
  take_message(request, message, stamp_ns);
}

void Watch::take_message(Request& request, const json& message, std::int64_t stamp_ns) {
  Seen& seen = request.seen;
  // The server's own name for it comes second: what was asked for is what the client and the user know.
  if (seen.model.empty()) seen.model = prony_http::one_line(text_of(message, "model"), 120);
  if (seen.elsewhere.empty()) seen.elsewhere = prony_http::elsewhere_in(message);
  const bool output = request.dialect != nullptr ? request.dialect->read(message, request.answer)
                                                 : read_message(message, seen.model, request.answer);
  if (request.dialect != nullptr) take_other_counts(message, request.answer);
  request.answer.text.clear();  // of no interest here, and it would grow
  if (!output || !seen.streamed) return;
  ++seen.chunks;
  if (seen.first_ns == 0) seen.first_ns = stamp_ns;
  seen.last_ns = stamp_ns;
}

// Not a stream: one document, whatever its line ends.
void Watch::take_document(Request& request, std::int64_t stamp_ns) {
  if (request.document_cut) {
    request.seen.no_tokens = "the answer is longer than 8 MiB";
    return;
  }
  const json message = json::parse(request.document, nullptr, false);
  if (message.is_object()) take_message(request, message, stamp_ns);
}

// What of it was an answer. A failure never looks like a success.
void Watch::judge(Request& request) const {
  Seen& seen = request.seen;
  seen.status = request.response.status();
  const bool refused = seen.status < 200 || seen.status > 299;
  if (refused) {
    const std::string body = request.document.substr(0, HttpRequest::most_kept_bytes);
    seen.error = prony_http::refusal(seen.status, body, request.response.header("retry-after").value_or("")).message;
  } else if (request.answer.failure) {
    seen.error = request.answer.failure->message;
  } else if (seen.streamed && !request.answer.ended && seen.no_tokens.empty()) {
    seen.error = "the stream ended before the answer did";
  } else if (seen.streamed && seen.chunks == 0 && seen.no_tokens.empty() && !request.answer.finish.ends_with("load")) {
    seen.error = "the answer holds no text";  // but where a model was only to be loaded, or unloaded
  }
  seen.error = prony_http::without_secrets(std::move(seen.error), request.secrets);
  seen.outcome = seen.error.empty() ? "ok" : "failed";
  seen.finish = request.answer.finish;
}

void Watch::end_of_answer(std::int64_t stamp_ns) {
  Request request = std::move(requests_.front());
  requests_.pop_front();
  if (request.to_model) {
    Seen& seen = request.seen;
    seen.end_ns = stamp_ns;
    if (request.parser)
      request.parser->finish([&](prony_http::StreamEvent&& event) {
        if (!event.too_long) take_event(request, event.data, event.name, stamp_ns);
      });
    else
      take_document(request, stamp_ns);
    judge(request);
    const prony_http::Answer& answer = request.answer;
    seen.prompt_tokens = answer.prompt_tokens;
    seen.cached_tokens = answer.cached_tokens;
    seen.output_tokens = answer.output_tokens;
    seen.load_ns = answer.load_ns;
    seen.queue_ns = answer.queue_ns;
    seen.prefill_ns = answer.prefill_ns;
    seen.decode_ns = answer.decode_ns;
    if (seen.no_tokens.empty() && !seen.output_tokens && seen.outcome == "ok")
      seen.no_tokens = seen.streamed && seen.dialect == "openai"
                           ? "the stream tells no counts (the client did not ask: stream_options.include_usage)"
                           : "the server told none";
  }
  tell(request);
}

}  // namespace prony_proxy
