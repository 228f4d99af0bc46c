#include "worker.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <limits>

namespace prony_http {

namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr std::size_t most_waiting = 100'000;

// What the driver sent is not what the protocol says; caught where a line is handled, never further.
struct BadMessage {
  std::string code, message;
};

std::optional<std::int64_t> integer(const json& message, const char* key, std::int64_t least, std::int64_t most) {
  const json& found = member(message, key);
  if (found.is_null()) return std::nullopt;
  const auto value = found.is_number_integer() ? whole(message, key) : std::nullopt;
  if (!value || *value < least || *value > most)
    throw BadMessage{"protocol", std::string(key) + " must be a whole number from " + std::to_string(least) + " to " +
                                     std::to_string(most)};
  return value;
}

double number(const json& message, const char* key, double otherwise) {
  const json& found = member(message, key);
  if (found.is_null()) return otherwise;
  if (!found.is_number()) throw BadMessage{"protocol", std::string(key) + " must be a number"};
  return found.get<double>();
}

bool yes(const json& message, const char* key) {
  const json& found = member(message, key);
  if (found.is_null()) return false;
  if (!found.is_boolean()) throw BadMessage{"protocol", std::string(key) + " must be true or false"};
  return found.get<bool>();
}

std::string text(const json& message, const char* key) {
  const json& found = member(message, key);
  if (!found.is_string()) throw BadMessage{"protocol", std::string(key) + " is missing or not a text"};
  return found.get<std::string>();
}

// What came before in the conversation.
void take_before(const json& message, PromptSettings& settings) {
  const json& list = member(message, "before");
  if (list.is_null()) return;
  if (!list.is_array()) throw BadMessage{"protocol", "before must be a list"};
  for (const json& one : list) {
    if (!one.is_object()) throw BadMessage{"protocol", "before must be a list of objects"};
    settings.before.emplace_back(text(one, "role"), text(one, "content"));
  }
}

// What the driver wants to stand with the request in the Run.
void take_labels(const json& message, StreamRequest& request) {
  if (const json& counts = member(message, "counts"); counts.is_object())
    for (const auto& [key, value] : counts.items())
      if (value.is_number_integer()) request.counts.emplace_back(key, value.get<std::int64_t>());
  if (const json& attributes = member(message, "attributes"); attributes.is_object())
    for (const auto& [key, value] : attributes.items())
      if (value.is_string()) request.attributes.emplace_back(key, value.get<std::string>());
}

[[noreturn]] void crash() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // it is meant: no core file
  std::abort();
}

}  // namespace

Worker::Worker(WorkerSettings settings, std::unique_ptr<Dialect> dialect, Input& input, int out)
    : settings_(std::move(settings)), dialect_(std::move(dialect)), input_(input), out_(out) {
  if (const char* fault = std::getenv("PRONY_ENGINE_FAULT")) fault_ = fault;
}

int Worker::run() {
  say({{"type", "hello"},
       {"protocol", 1},
       {"worker", "prony-engine-http"},
       {"version", PRONY_VERSION},
       {"engine", dialect_->name()},
       {"capabilities", dialect_->capabilities()}});
  while (!stopped_) {
    while (!stopped_ && input_.has_line() && may_take_a_line()) handle(input_.next());
    if (stopped_ || (input_.ended() && !input_.has_line() && is_idle())) break;
    start_what_is_due();
    if (!input_.has_line() || !may_take_a_line()) wait();
    settle();
  }
  if (server_ && loaded_) dialect_->unload(server_->caller());
  return write_failed_ ? 1 : 0;
}

// One at a time, and everything in order, unless more streams were asked for; then prompts go in beside others, and
// what is not a prompt waits for all of them.
bool Worker::may_take_a_line() const {
  if (is_idle()) return true;
  return streams_ > 1 && waiting_.size() < most_waiting && input_.front().text.find("\"prompt\"") != std::string::npos;
}

void Worker::handle(const Line& line) {
  line_cancelled_ = line.cancelled;
  if (line.too_long) return error("protocol", "the line is longer than 16 MiB");
  if (line.text.find_first_not_of(" \t\r") == std::string::npos) return;
  const json message = json::parse(line.text, nullptr, false);
  if (!message.is_object()) return error("protocol", "the line is not a JSON object");
  std::optional<std::string> id;
  if (const json& found = member(message, "id"); found.is_string()) id = found.get<std::string>();
  try {
    dispatch(text(message, "type"), message);
  } catch (const BadMessage& bad) {
    error(bad.code, bad.message, id);
  }
}

void Worker::dispatch(const std::string& type, const json& message) {
  if (type == "load") return load(message);
  if (type == "prompt") return prompt(message);
  if (type == "phase") return phase(message);
  if (type == "batch") return error("unsupported", "a server makes its own batches: ask for streams");
  if (type != "stop") return error("protocol", "unknown type \"" + one_line(type, 40) + "\"");
  if (server_ && loaded_) dialect_->unload(server_->caller());
  loaded_ = false;
  say({{"type", "bye"}});
  stopped_ = true;
}

void Worker::load(const json& message) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  LoadSettings load_settings;
  load_settings.model = text(message, "model");
  load_settings.threads = integer(message, "threads", 1, 4096);
  load_settings.ctx = integer(message, "ctx", 8, most);
  load_settings.batch = integer(message, "batch", 1, most);
  load_settings.keep_alive = settings_.keep_alive;
  load_settings.pull = settings_.pull;
  seed_ = integer(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(1);
  streams_ = static_cast<std::size_t>(integer(message, "streams", 1, 4096).value_or(1));
  if (line_cancelled_) return error("cancelled", "cancelled");
  const auto found = connect();
  if (!found) return error(found.error().code, found.error().message);
  const auto fetched = fetch(load_settings);
  if (!fetched) return error(fetched.error().code, fetched.error().message);
  if (settings_.cold) {
    const auto gone = leave_memory(load_settings);
    if (!gone) return error(gone.error().code, gone.error().message);
  }
  const prony_span span = prony_span_begin(PRONY_PHASE, "load", 0);
  auto facts = wait_for_load(load_settings);
  prony_span_end(span, facts ? PRONY_OK : PRONY_FAILED);
  if (!facts) return error(facts.error().code, facts.error().message);
  loaded_ = true;
  facts->insert(facts->end(), fetched->begin(), fetched->end());
  facts->emplace_back("engine.url", found->url.text());
  if (!found->version.empty()) facts->emplace_back("engine.version", found->version);
  const bool elsewhere =
      std::any_of(facts->begin(), facts->end(), [](auto& f) { return f.first == "engine.elsewhere"; });
  if (!elsewhere && !server_->elsewhere_host().empty())
    facts->emplace_back("engine.elsewhere", server_->elsewhere_host());
  json told = json::object();
  for (const auto& [name, value] : *facts) told[name] = value;
  say({{"type", "loaded"}, {"facts", told}});
}

void Worker::prompt(const json& message) {
  if (!loaded_) throw BadMessage{"state", "no model is loaded"};
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  StreamRequest request;
  request.id = text(message, "id");
  PromptSettings& settings = request.settings;
  settings.text = text(message, "text");
  settings.max_tokens = integer(message, "max_tokens", 1, most).value_or(128);
  settings.temperature = number(message, "temperature", 0);
  settings.top_k = integer(message, "top_k", 0, most).value_or(0);
  settings.top_p = number(message, "top_p", 1);
  settings.seed = integer(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(seed_);
  settings.ignore_eos = yes(message, "ignore_eos");
  settings.min_tokens = integer(message, "min_tokens", 0, most).value_or(0);
  settings.truncate_tokens = integer(message, "truncate_prompt_tokens", 2, most);
  settings.cache_prompt = yes(message, "cache_prompt");
  take_before(message, settings);
  const auto words = dialect_->capabilities();
  if (settings.ignore_eos && std::find(words.begin(), words.end(), "ignore_eos") == words.end())
    throw BadMessage{"unsupported", std::string(dialect_->name()) + " cannot be told to go on past the model's end"};
  request.warm_up = yes(message, "warm_up");
  request.keep_output = yes(message, "keep_output");
  request.repeat = integer(message, "repeat", 1, most).value_or(1);
  request.scheduled_ns = integer(message, "at_ns", 0, std::numeric_limits<std::int64_t>::max());
  request.timeout_ns = settings_.timeout_ns;
  request.cancel_after_ns =
      integer(message, "cancel_after_ns", 0, std::numeric_limits<std::int64_t>::max()).value_or(-1);
  request.return_text = yes(message, "return_text");
  take_labels(message, request);
  request.level = integer(message, "level", 1, most);
  if (line_cancelled_) return never_begun(request);
  const auto later = [](const StreamRequest& a, const StreamRequest& b) {
    return a.scheduled_ns.value_or(0) < b.scheduled_ns.value_or(0);
  };
  waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), request, later), std::move(request));
}

void Worker::phase(const json& message) {
  const std::string name = text(message, "name");
  const auto length_ms = integer(message, "ms", 0, 86'400'000);
  if (!length_ms) throw BadMessage{"protocol", "ms is missing"};
  const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
  const std::int64_t end_ns = prony_now_ns() + *length_ms * ms;
  while (!input_.cancelled() && !line_cancelled_) {
    const std::int64_t left = end_ns - prony_now_ns();
    if (left <= 0) break;
    pollfd ready{input_.fd(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(left / ms + 1));
    if (ready.revents != 0) input_.read_some();
  }
  prony_span_end(span, PRONY_OK);
  say({{"type", "done"}, {"name", name}});
}

// True if the prompt's answer was replaced by a fault: see "Test hooks" in the protocol page.
bool Worker::misbehaves(const StreamRequest& request) {
  if (request.warm_up) return false;
  ++prompts_;
  const std::string at = "-at:" + std::to_string(prompts_);
  if (fault_ != "crash" + at && fault_ != "hang" + at && fault_ != "garbage" + at && fault_ != "error" + at)
    return false;
  const prony_span span = prony_span_begin(PRONY_REQUEST, request.id.c_str(), 0);
  if (fault_.starts_with("crash")) crash();
  while (fault_.starts_with("hang")) ::pause();
  prony_span_attribute(span, "finish", "error");
  prony_span_end(span, PRONY_FAILED);
  if (fault_.starts_with("error"))
    error("internal", "a fault was asked for", request.id);
  else
    write_line("this is not JSON");
  return true;
}

// Whether so many slots can be written without a loss. A recorder that made none for two seconds does not listen any
// more: what is dropped then is counted.
bool Worker::has_room(std::size_t slots) {
  constexpr std::int64_t patience_ns = 2'000 * ms;
  if (slots <= prony_span_room()) {
    crowded_since_ns_ = 0;
    return true;
  }
  const std::int64_t now_ns = prony_now_ns();
  if (crowded_since_ns_ == 0) crowded_since_ns_ = now_ns;
  return now_ns - crowded_since_ns_ > patience_ns;
}

void Worker::start_what_is_due() {
  constexpr std::size_t a_begin = 64;
  while (!waiting_.empty() && active_.size() < streams_ &&
         waiting_.front().scheduled_ns.value_or(0) <= prony_now_ns() && has_room(a_begin)) {
    StreamRequest request = std::move(waiting_.front());
    waiting_.pop_front();
    if (misbehaves(request)) continue;
    active_.push_back(std::make_unique<Active>(std::move(request), *server_, *dialect_));
    Active& active = *active_.back();
    active.place = std::prev(active_.end());
    active.stream.begin();
    active.leaves_ns = active.stream.leaves_ns();
    if (active.leaves_ns > 0) leaving_.emplace(active.leaves_ns, &active);
    follow(active);
  }
}

// Has the poller watch what the stream waits for now; a stream that is over goes to those that are to be told. At once,
// before its descriptor's number can be another's.
void Worker::follow(Active& active) {
  Stream& stream = active.stream;
  if (stream.over()) {
    if (active.watched >= 0) poller_.forget(active.watched);
    if (active.leaves_ns > 0) leaving_.erase({active.leaves_ns, &active});
    const auto place = active.place;
    finished_.push_back(std::move(*place));
    active_.erase(place);
    return;
  }
  const bool same = active.connection_number == stream.connection_number();
  if (same && active.for_writing == stream.wants_to_write()) return;
  if (!same && active.watched >= 0 && active.watched != stream.fd()) poller_.forget(active.watched);
  active.watched = stream.fd();
  active.connection_number = stream.connection_number();
  active.for_writing = stream.wants_to_write();
  poller_.watch(active.watched, active.for_writing, &active);
}

void Worker::advance(Active& active) {
  active.stream.advance();
  follow(active);
}

// Until a socket or the driver has something, a prompt is due, or one has taken too long.
void Worker::wait() {
  if (!finished_.empty() && crowded_since_ns_ == 0) return;  // over as it began: there is something to tell first
  std::int64_t until_ns = prony_now_ns() + 60'000 * ms;
  if (!waiting_.empty() && active_.size() < streams_)
    until_ns = std::min(until_ns, waiting_.front().scheduled_ns.value_or(0));
  if (!active_.empty() && active_.front()->stream.deadline_ns() > 0)
    until_ns = std::min(until_ns, active_.front()->stream.deadline_ns());
  if (!leaving_.empty()) until_ns = std::min(until_ns, leaving_.begin()->first);
  if (crowded_since_ns_ != 0) until_ns = prony_now_ns() + ms / 2;  // the recorder looks every few of them
  if (!input_watched_ && !input_.ended() && !poller_.watch(input_.fd(), false, this)) {
    input_.read_some();  // a file: there is always something, or its end
    return;
  }
  input_watched_ = !input_.ended();
  bool input_ready = false;
  for (const epoll_event& event : poller_.wait(until_ns)) {
    if (event.data.ptr == this)
      input_ready = true;
    else
      advance(*static_cast<Active*>(event.data.ptr));
  }
  const std::int64_t now_ns = prony_now_ns();
  while (!active_.empty() && active_.front()->stream.deadline_ns() > 0 &&
         active_.front()->stream.deadline_ns() <= now_ns)
    advance(*active_.front());
  while (!leaving_.empty() && leaving_.begin()->first <= now_ns) advance(*leaving_.begin()->second);
  if (input_ready) input_.read_some();
  if (!input_.ended()) return;
  poller_.forget(input_.fd());  // its end is told for ever
  input_watched_ = false;
}

void Worker::never_begun(const StreamRequest& request) {
  say({{"type", "result"}, {"id", request.id}, {"finish", "stop"}, {"begun", false}});
}

// A cancel ends all that run, and what was not begun; a withdrawal the latter alone.
void Worker::heed_cancel() {
  if (!input_.cancelled() && !input_.withdrawn()) return;
  for (const StreamRequest& request : waiting_) never_begun(request);
  waiting_.clear();
  if (input_.cancelled())
    while (!active_.empty()) {
      Active& active = *active_.front();
      active.stream.cancel();
      follow(active);
    }
  input_.forget_cancel();
  input_.forget_withdrawal();
}

// Replies of what is over, in the order of their ends, as fast as the recorder has room for their spans, and for the
// begins of others beside them.
void Worker::settle() {
  heed_cancel();
  constexpr std::size_t for_others = 1024;
  while (!finished_.empty() && has_room(finished_.front()->stream.slots() + for_others)) {
    say(finished_.front()->stream.record());
    finished_.pop_front();
  }
}

void Worker::error(const std::string& code, const std::string& message, const std::optional<std::string>& id) {
  json what = {{"code", code}, {"message", without_secrets(message, {&settings_.server.api_key, 1})}};
  if (id) what["id"] = *id;
  say({{"type", "error"}, {"error", what}});
}

void Worker::say(const json& message) { write_line(dump(message)); }

void Worker::write_line(std::string line) {
  line.push_back('\n');
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t got = ::write(out_, line.data() + done, line.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {  // nobody listens any more
      write_failed_ = stopped_ = true;
      return;
    }
    done += static_cast<std::size_t>(got);
  }
}

}  // namespace prony_http
