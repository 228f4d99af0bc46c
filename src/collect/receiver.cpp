#include "collect/receiver.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.hpp"
#include "collect/pages.hpp"

namespace prony::collect {

namespace {

constexpr const char* json_type = "application/json; charset=utf-8";
constexpr const char* text_type = "text/plain; charset=utf-8";
constexpr std::int64_t page_age_ns = 1'000'000'000, page_share = 20;  // at most a twentieth of the time goes into pages
constexpr int slices_at_once = 50;
constexpr std::chrono::milliseconds between_slices{2};
constexpr const char* stream_mark = "stream_is_refused";
constexpr const char* frame_mark = "frame_never_fits";  // a proxy's 400 or 422 says no such thing
constexpr std::size_t most_pages = 100;

template <class Clock>
std::int64_t now_of() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

HttpAnswer said(unsigned status, const nlohmann::ordered_json& body) {
  return {status, json_type, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

// What a file system answers is nothing the sender could mend: it keeps its frames and comes again.
unsigned status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::absent: return 409;
    case ErrorCode::malformed: return error.where == frame_misfit ? 422 : 503;
    case ErrorCode::usage: return 400;
    default: return 503;
  }
}

constexpr const char* index_page =
    "prony collect\n"
    "GET  /v1/clients        who sends, how much, and how far their clocks are off\n"
    "GET  /v1/clients/NAME   one of them, with the newest values\n"
    "GET  /v1/totals         counters of all of them together\n"
    "POST /v1/frames         prony monitor --sink remote:…\n"
    "POST /log, /simple_log  the dialects of HeFlwr\n";

}  // namespace

HttpAnswer Answers::refuse(unsigned status, const Error& error, const char* mark) {
  ++received_.refused;
  if (status == 503) received_.trouble = error;
  nlohmann::ordered_json body = {{"error", error.what}, {"what_to_do", error.fix}};
  if (mark != nullptr) body[mark] = true;
  return said(status, body);
}

HttpAnswer Answers::take_batch(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns) {
  const auto batch = parse_batch(question.body);
  if (!batch) {
    const auto& [error, part] = batch.error();
    if (part == BatchPart::frame) return refuse(422, error, frame_mark);
    return refuse(400, error, part == BatchPart::stream ? stream_mark : nullptr);
  }
  if (!rate_.may(batch->stream, now_ns))
    return refuse(429, {ErrorCode::full, "this client sends too often", {}, "Send more frames at once."});
  const auto stored = archive_.store(*batch, question.received_ns);
  if (!stored) {
    const unsigned status = status_of(stored.error());
    return refuse(status, stored.error(), status == 422 ? frame_mark : status == 400 ? stream_mark : nullptr);
  }
  received_.trouble.reset();
  received_.frames += stored->fresh;
  received_.doubled += stored->doubled;
  return said(200, {{"stored", stored->fresh},
                    {"doubled", stored->doubled},
                    {"last_sequence", stored->last_sequence},
                    {"received_wall_ns", question.received_ns},
                    {"answered_wall_ns", wall_ns}});
}

HttpAnswer Answers::take_log(const HttpQuestion& question, std::int64_t now_ns) {
  const auto entry = parse_log_entry(question.body);
  if (!entry) return refuse(400, entry.error());
  if (!rate_.may("\n" + entry->identifier, now_ns))
    return refuse(429, {ErrorCode::full, "this client sends too often", {}, {}});
  const auto stored = archive_.store(*entry, question.received_ns);
  if (!stored) return refuse(status_of(stored.error()), stored.error());
  received_.trouble.reset();
  received_.messages += *stored ? 1 : 0;
  return {200, text_type, "ok\n"};
}

HttpAnswer Answers::show(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns) {
  const std::string path(question.path);
  if (path == "/" || path.empty()) return {200, text_type, index_page};
  if (const auto page = pages_.find(path); page != pages_.end() && now_ns < page->second.until_ns)
    return page->second.answer;
  const std::int64_t begin_ns = now_of<std::chrono::steady_clock>();
  constexpr std::string_view one = "/v1/clients/";
  Result<std::optional<std::string>> body = std::optional<std::string>();
  if (path == "/v1/clients")
    body = clients_page(archive_, wall_ns);
  else if (path == "/v1/totals")
    body = totals_page(archive_);
  else if (path.starts_with(one))
    body = client_page(archive_, path.substr(one.size()), wall_ns);
  if (!body) return refuse(503, body.error());
  if (!*body) return {404, text_type, "there is nothing of that name; / says what there is\n"};
  if (pages_.size() >= most_pages) pages_.clear();
  HttpAnswer answer{200, json_type, std::move(**body)};
  const std::int64_t took_ns = now_of<std::chrono::steady_clock>() - begin_ns;
  pages_.insert_or_assign(path, Kept{now_ns + std::max(page_age_ns, page_share * took_ns), answer});
  return answer;
}

HttpAnswer Answers::answer(const HttpQuestion& question, std::int64_t now_ns, std::int64_t wall_ns) {
  ++received_.requests;
  const bool post = question.method == "POST";
  const bool log = question.path == "/log" || question.path == "/simple_log";
  if (post && question.path == "/v1/frames") return take_batch(question, now_ns, wall_ns);
  if (post && log) return take_log(question, now_ns);
  if (post || log || question.path == "/v1/frames")
    return {post ? 404U : 405U, text_type, post ? "nothing is taken there\n" : "this takes POST\n"};
  return show(question, now_ns, wall_ns);
}

Result<std::unique_ptr<Receiver>> Receiver::open(Archive archive, DoorPlan plan) {
  std::unique_ptr<Receiver> receiver(new Receiver(std::move(archive)));
  auto door = HttpDoor::open(std::move(plan), [one = receiver.get()](const HttpQuestion& question) {
    const std::scoped_lock lock(one->mutex_);
    return one->answers_.answer(question, now_of<std::chrono::steady_clock>(), now_of<std::chrono::system_clock>());
  });
  if (!door) return Unexpected<Error>(door.error());
  receiver->door_ = std::move(*door);
  return receiver;
}

Received Receiver::received() {
  const std::scoped_lock lock(mutex_);
  return answers_.received();
}

Result<bool> Receiver::forget_before(std::int64_t wall_ns) {
  for (int slice = 0; slice < slices_at_once; ++slice) {
    if (slice > 0) std::this_thread::sleep_for(between_slices);  // whoever waits for the lock gets it
    const std::scoped_lock lock(mutex_);
    const auto more = answers_.forget_before(wall_ns);
    if (!more || !*more) return more;
  }
  return true;
}

}  // namespace prony::collect
