#include "app/proxy_requests.hpp"

#include <algorithm>
#include <array>

#include "app/common.hpp"
#include "app/session.hpp"
#include "base/text.hpp"
#include "machine/machine.hpp"

namespace prony::app {

namespace {

using nlohmann::json;

constexpr std::size_t most_counted_models = 50;  // more would be more labels than a Prometheus likes
constexpr std::size_t most_open = 100'000;
constexpr std::string_view log_family = "{\"prony_proxy_log\":";
constexpr std::string_view log_header =
    "{\"prony_proxy_log\":1,\"charged_j\":\"what of the server's processes is charged to the request, all headline "
    "channels together; provisional: the Run has the last word\"}";

std::optional<std::int64_t> whole(const json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}
std::string text_in(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

Span part(SpanKind kind, SpanId id, const Span& whole_span, std::int64_t begin_ns, std::int64_t end_ns) {
  Span span;
  span.id = id;
  span.parent = whole_span.id;
  span.kind = kind;
  span.pid = whole_span.pid;
  span.interval = {Instant{begin_ns}, Instant{end_ns}};
  return span;
}

}  // namespace

std::vector<Span> spans_of_request(const json& line, SpanId id) {
  const auto begin_ns = whole(line, "begin_ns"), end_ns = whole(line, "end_ns"), number = whole(line, "n");
  if (!begin_ns || !end_ns || !number || *end_ns < *begin_ns) return {};
  std::vector<Span> spans(1);
  Span& request = spans.front();
  request.id = id;
  request.kind = SpanKind::request;
  request.status = text_in(line, "outcome") == "ok" ? SpanStatus::ok : SpanStatus::failed;
  const std::string model = text_in(line, "model");
  request.name = (model.empty() ? text_in(line, "path") : model) + " #" + std::to_string(*number);
  request.interval = {Instant{*begin_ns}, Instant{*end_ns}};
  // A model that was only to be loaded, or unloaded: joules of that are no request's.
  if (const std::string finish = text_in(line, "finish"); finish == phase::load || finish == "unload") {
    request.kind = SpanKind::phase;
    request.name = finish;
  }
  for (const char* key : {"dialect", "path", "model", "outcome", "finish", "error", "elsewhere", "no_tokens"})
    if (const std::string value = text_in(line, key); !value.empty()) request.attributes.emplace_back(key, value);
  request.attributes.emplace_back("stamps", "read");
  for (const char* key : {"status", "chunks", "prompt_tokens", "cached_tokens", "output_tokens", "server_load_ns",
                          "server_queue_ns", "server_prefill_ns", "server_decode_ns"})
    if (const auto value = whole(line, key)) request.counts.emplace_back(key, *value);
  const auto first_ns = whole(line, "first_ns"), last_ns = whole(line, "last_ns");
  if (!first_ns || !last_ns || *first_ns < *begin_ns || *last_ns < *first_ns || *last_ns > *end_ns) return spans;
  // As with Prony's own client: where the server tells how long prefill took, it lay right before the first text.
  const auto prefill_ns = whole(line, "server_prefill_ns");
  const bool told = prefill_ns && *prefill_ns > 0 && *prefill_ns <= *first_ns - *begin_ns;
  Span prefill =
      part(SpanKind::prefill, SpanId{id.value + 1}, request, told ? *first_ns - *prefill_ns : *begin_ns, *first_ns);
  if (!told) prefill.attributes.emplace_back("holds", "queue, network and prefill");
  Span decode = part(SpanKind::decode, SpanId{id.value + 2}, request, *first_ns, *last_ns);
  spans.push_back(std::move(prefill));
  if (whole(line, "output_tokens") != 1) spans.push_back(std::move(decode));
  return spans;
}

Result<void> ProxyRequests::open_log() {
  if (plan_.log.empty()) return {};
  auto file = AppendFile::open(plan_.log, std::string(log_header), std::string(log_family), "\n", {},
                               make_live_machine()->anchor().wall_ns);
  if (!file) return Unexpected<Error>(file.error());
  log_.emplace(std::move(*file));
  return {};
}

void ProxyRequests::begin(Session& session, Machine& machine, const std::vector<std::string>& targets,
                          std::function<void()> stop) {
  session_ = &session;
  machine_ = &machine;
  stop_ = std::move(stop);
  {
    const std::scoped_lock lock(mutex_);
    charges_ =
        std::make_unique<LiveCharges>(LivePlan{session.channels(), session.groups(), targets, plan_.requests_target});
  }
  worker_.listen([this](const json& line) { take(line); },
                 [this] {
                   const std::scoped_lock lock(mutex_);
                   if (stopping_) return;
                   died_ = true;
                   stop_();
                 });
}

void ProxyRequests::see(const TickBlock& block) {
  const std::scoped_lock lock(mutex_);
  if (charges_) charges_->see(block);
}

// On the worker's thread.
void ProxyRequests::take(const json& line) {
  if (text_in(line, "type") == "ask") return answer(line);
  const std::scoped_lock lock(mutex_);
  lines_.push_back(line);
}

// The worker holds an answer back for it: it is made at once, from the ticks that there are.
void ProxyRequests::answer(const json& ask) {
  const auto link = whole(ask, "link"), begin_ns = whole(ask, "begin_ns"), now_ns = whole(ask, "now_ns");
  if (!link || !begin_ns || !now_ns) return;
  std::string line = "Prony-Energy-Estimate: ";
  LiveCharges::SoFar told;
  {
    const std::scoped_lock lock(mutex_);
    if (charges_) told = charges_->so_far(Instant{*begin_ns});
  }
  const double whole_s = seconds(*now_ns - *begin_ns), covered_s = told.covered.seconds().value();
  if (!plan_.elsewhere.empty()) {
    line += "none; reason=\"the server is on another host\"";
  } else if (!told.charge.charged) {
    std::string why = told.charge.absent;
    std::replace(why.begin(), why.end(), '"', '\'');
    line += "none; reason=\"" + printable(why, 160) + "\"";
  } else if (covered_s < 0.5 * whole_s) {
    line += "none; reason=\"too short for a live estimate\"";
  } else {
    const Estimate& joules = *told.charge.charged;
    const double factor = whole_s / covered_s;
    line += format_fixed(joules.value * factor, 6) + " J; low=" + format_fixed(joules.low * factor, 6) +
            "; high=" + format_fixed(joules.high * factor, 6) + "; kind=" + std::string(to_string(joules.kind)) +
            "; origin=" + std::string(to_string(told.charge.origin)) +
            "; measured-share=" + format_fixed(std::min(1.0, covered_s / whole_s), 2);
  }
  worker_.say({{"type", "header"}, {"link", *link}, {"line", line}});
}

void ProxyRequests::take_ended(json line) {
  const auto number = whole(line, "n");
  if (!number) return;
  SpanId id{next_span_};
  if (const auto known = open_.find(static_cast<std::uint64_t>(*number)); known != open_.end()) {
    id = known->second.id;
    open_.erase(known);
  } else {
    next_span_ += 3;
  }
  std::vector<Span> spans = spans_of_request(line, id);
  if (spans.empty()) return;
  for (const Span& span : spans) session_->add(span);
  ++ended_;
  Request request{spans.front(), std::move(line)};
  const std::string elsewhere = !plan_.elsewhere.empty() ? plan_.elsewhere : text_in(request.line, "elsewhere");
  if (elsewhere.empty()) {
    charges_->ended(request.span);
    unsettled_.emplace(id.value, std::move(request));
    return;
  }
  charges_->forget(id);
  LiveCharge none;
  none.span = id;
  none.absent = "not local energy: the model runs on another host (" + elsewhere + ")";
  log(request, none);
  count(request, none);
}

void ProxyRequests::settle(bool last) {
  for (const LiveCharge& charge : charges_->settle(machine_->now(), last)) {
    const auto found = unsettled_.find(charge.span.value);
    if (found == unsettled_.end()) continue;
    log(found->second, charge);
    count(found->second, charge);
    unsettled_.erase(found);
  }
}

void ProxyRequests::carry() {
  const std::scoped_lock lock(mutex_);
  if (!charges_) return;
  while (!lines_.empty()) {
    json line = std::move(lines_.front());
    lines_.pop_front();
    const std::string type = text_in(line, "type");
    const auto number = whole(line, "n"), begin_ns = whole(line, "begin_ns");
    if (type == "begin" && number && begin_ns && text_in(line, "elsewhere").empty() && open_.size() < most_open) {
      Span span;
      span.id = SpanId{next_span_};
      next_span_ += 3;
      span.kind = SpanKind::request;
      span.interval.begin = span.interval.end = Instant{*begin_ns};
      const std::string model = text_in(line, "model");
      span.name = (model.empty() ? "request" : model) + " #" + std::to_string(*number);
      open_[static_cast<std::uint64_t>(*number)] = span;
      if (plan_.elsewhere.empty()) charges_->began(span);
    } else if (type == "request") {
      take_ended(std::move(line));
    } else if (type == "end") {
      if (const auto lost = whole(line, "lost"); lost && *lost > 0)
        session_->add(Event{machine_->now(), "spans-lost", "proxy", std::to_string(*lost) + " lines of the proxy"});
    }
  }
  settle(false);
}

void ProxyRequests::wind_down() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  worker_.stop();
}

// Begun, and nobody told how they ended: the relay died. They are in the Run as what they are.
void ProxyRequests::leave_open() {
  for (auto& [number, span] : open_) {
    span.status = SpanStatus::unfinished;
    span.interval.end = std::max(span.interval.begin, machine_->now());
    span.attributes.emplace_back("error", "the proxy ended before it told how the request did");
    session_->add(span);
  }
  open_.clear();
}

void ProxyRequests::end() {
  carry();
  const std::scoped_lock lock(mutex_);
  if (charges_) settle(true);
  leave_open();
  if (log_)
    if (const auto closed = log_->close(); !closed && !log_failed_) print_error(closed.error());
}

void ProxyRequests::log(const Request& request, const LiveCharge& charge) {
  if (!log_) return;
  const json& line = request.line;
  const Anchor now = machine_->anchor();
  nlohmann::ordered_json out;
  out["time"] = format_utc(now.wall_ns + (request.span.interval.begin - now.monotonic).ns);
  out["n"] = *whole(line, "n");
  for (const char* key : {"dialect", "path", "model", "outcome", "status", "streamed", "finish", "error", "elsewhere"})
    if (const auto found = line.find(key); found != line.end()) out[key] = *found;
  out["e2e_s"] = request.span.interval.length().seconds().value();
  if (const auto first_ns = whole(line, "first_ns"))
    out["ttft_s"] = seconds(*first_ns - request.span.interval.begin.ns);
  for (const char* key : {"prompt_tokens", "cached_tokens", "output_tokens", "no_tokens"})
    if (const auto found = line.find(key); found != line.end()) out[key] = *found;
  if (charge.charged) {
    out["charged_j"] = charge.charged->value;
    out["charged_low_j"] = charge.charged->low;
    out["charged_high_j"] = charge.charged->high;
    out["kind"] = to_string(charge.charged->kind);
    if (charge.gross) out["gross_j"] = charge.gross->value;
    out["origin"] = to_string(charge.origin);
    out["channels"] = charge.channels;
    const auto tokens = whole(line, "output_tokens");
    if (tokens && *tokens > 0) out["charged_per_output_token_j"] = charge.charged->value / static_cast<double>(*tokens);
  } else {
    out["no_joules"] = charge.absent;
  }
  const std::string words = out.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto written = log_->append(words, now.wall_ns);
  if (!written && !log_failed_) print_error(written.error());
  log_failed_ = !written;
}

void ProxyRequests::count(const Request& request, const LiveCharge& charge) {
  std::string model = text_in(request.line, "model");
  if (model.empty()) model = "none";
  const auto known = [&](const auto& entry) { return std::get<0>(entry.first) == model; };
  if (counts_.size() >= most_counted_models && std::ranges::none_of(counts_, known)) model = "other";
  const bool local = plan_.elsewhere.empty() && text_in(request.line, "elsewhere").empty();
  const std::string outcome = text_in(request.line, "outcome"), where = local ? "local" : "elsewhere";
  RequestCount& row = counts_[{model, outcome, where}];
  row.model = model;
  row.outcome = outcome;
  row.where = where;
  ++row.requests;
  row.prompt_tokens += static_cast<double>(whole(request.line, "prompt_tokens").value_or(0));
  row.output_tokens += static_cast<double>(whole(request.line, "output_tokens").value_or(0));
  if (charge.charged) {
    row.origin = to_string(charge.origin);
    row.charged_j += charge.charged->value;
  } else {
    ++row.without_joules;
  }
}

void ProxyRequests::tell(Frame& frame) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [key, row] : counts_) frame.requests.push_back(row);
}

}  // namespace prony::app
