#include "attribute/request_work.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace prony::attribution {

namespace {

constexpr std::size_t most_knots = 2048;  // of one request: beyond, tokens are placed by several at a time

struct Children {
  const Span* prefill = nullptr;
  const Span* decode = nullptr;
  std::vector<std::int64_t> tokens;  // ends
};

// What is known of a request's counts; NaN-free: absent is absent.
struct Told {
  const Span* request = nullptr;
  Children children;
  std::optional<double> prompt, uncached, output;
  std::optional<double> uncached_so_far;  // of one that was broken off, what the engine had done of its prompt
  bool first_token = false;               // prefill came to its end
};

double number(std::int64_t value) { return static_cast<double>(std::max<std::int64_t>(value, 0)); }

Told told_of(const Span& request, Children children) {
  Told told{&request, std::move(children), {}, {}, {}, {}, false};
  std::ranges::sort(told.children.tokens);
  if (const auto prompt = request.count("prompt_tokens")) {
    told.prompt = number(*prompt);
    const double cached = number(request.count("cached_tokens").value_or(0));
    told.uncached = std::max(*told.prompt - cached, 0.0);
    if (const auto done = request.count("prompt_tokens_so_far"))
      told.uncached_so_far = std::clamp(number(*done) - cached, 0.0, *told.uncached);
  }
  if (const auto output = request.count("output_tokens"))
    told.output = number(*output);
  else if (const auto came = request.count("output_tokens_so_far"))
    told.output = number(*came);
  else if (!told.children.tokens.empty())
    told.output = static_cast<double>(told.children.tokens.size());
  else if (const auto chunks =
               request.count("chunks"))  // pieces of text: of a stream that broke off, all that is known
    told.output = number(*chunks);
  const Span* prefill = told.children.prefill;
  told.first_token = !told.children.tokens.empty() || told.children.decode != nullptr ||
                     (prefill != nullptr && prefill->status == SpanStatus::ok);
  return told;
}

// What stands in for counts that are not told, and for when a prefill began that is not told.
struct Typical {
  std::optional<double> prompt, uncached, output;
  double prefill_s = 0;             // from the request's begin to its first token
  double fastest_tokens_per_s = 0;  // uncached prompt tokens, over the same
};

std::int64_t first_token_ns(const Told& told) {
  if (told.children.prefill != nullptr) return told.children.prefill->interval.end.ns;
  if (!told.children.tokens.empty()) return told.children.tokens.front();
  if (told.children.decode != nullptr) return told.children.decode->interval.begin.ns;
  return told.request->interval.end.ns;
}

Typical typical_of(const std::vector<Told>& all) {
  Typical typical;
  double prompt = 0, uncached = 0, prompts = 0, output = 0, outputs = 0, prefill_s = 0, prefills = 0;
  for (const Told& told : all) {
    if (told.prompt) prompt += *told.prompt, uncached += *told.uncached, ++prompts;
    if (told.output && told.request->status == SpanStatus::ok) output += *told.output, ++outputs;
    if (!told.first_token) continue;
    const double length_s = seconds_of(first_token_ns(told) - told.request->interval.begin.ns);
    prefill_s += length_s, ++prefills;
    if (told.uncached && length_s > 0)
      typical.fastest_tokens_per_s = std::max(typical.fastest_tokens_per_s, *told.uncached / length_s);
  }
  if (prompts > 0) typical.prompt = prompt / prompts, typical.uncached = uncached / prompts;
  if (outputs > 0) typical.output = output / outputs;
  if (prefills > 0) typical.prefill_s = prefill_s / prefills;
  return typical;
}

// Σ over i = 1 … made of min(context + i, window), for whole numbers.
double contexts(double context, double made, double window) {
  const double growing = std::clamp(std::floor(window - context), 0.0, made);
  return growing * context + growing * (growing + 1) / 2 + (made - growing) * window;
}

// What `made` tokens after `context` others read of the cache together: each what was there before it, and itself.
double kv_read(double context, double made, const std::optional<KvReads>& kv) {
  const double all = contexts(context, made, context + made);
  if (!kv) return all;
  return kv->bytes_per_token * all + kv->windowed_bytes_per_token * contexts(context, made, kv->window_tokens);
}

// A request whose work is to be placed.
struct Prepared {
  const Told* told = nullptr;
  double prompt = 0, uncached = 0, output = 0;
  Interval prefill;  // within which the prompt was worked on
  bool assumed = false;
  std::vector<std::pair<Interval, double>> chunks;  // of the prompt, in the engine's steps
  bool never_begun = false;                         // no step had room for it
};

Prepared prepare(const Told& told, const Typical& typical, bool by_step) {
  Prepared result{&told, {}, {}, {}, {}, false, {}, false};
  const Span& request = *told.request;
  result.prompt = told.prompt.value_or(typical.prompt.value_or(0));
  result.uncached = told.uncached.value_or(typical.uncached.value_or(0));
  result.output = told.output.value_or(told.children.decode != nullptr ? typical.output.value_or(0) : 0);
  result.assumed = !told.prompt || (!told.output && told.children.decode != nullptr);
  // Refused or cut off before the first token: as far as others had come in that time. The engine's steps know better.
  if (!told.first_token && told.uncached_so_far)
    result.uncached = *told.uncached_so_far;
  else if (!told.first_token && !by_step && typical.prefill_s > 0)
    result.uncached *= std::min(1.0, seconds_of(request.interval.length().ns) / typical.prefill_s);
  const Instant first{std::clamp(first_token_ns(told), request.interval.begin.ns, request.interval.end.ns)};
  result.prefill = {request.interval.begin, first};
  const Span* span = told.children.prefill;
  if (span != nullptr && !span->attribute("holds"))
    result.prefill.begin = std::clamp(span->interval.begin, request.interval.begin, first);
  else if (const auto begun = request.count("begun_after_ns"))
    result.prefill.begin.ns += std::clamp(*begun, std::int64_t{0}, first.ns - request.interval.begin.ns);
  return result;
}

// Prompts that came to their first token come before those that were ended before it, which may never have been begun.
auto turn_of(const Prepared* request) {
  return std::tuple(!request->told->first_token, request->prefill.end, request->told->request->id);
}

// The engine's steps say how many prompt tokens each took. Of several open prompts that are next whose first token came
// next: so it is where prompts are taken in turn, which all engines known here do. What is left over was worked on for
// those that were ended before their first token.
void place_in_steps(const std::vector<EngineStep>& steps, std::vector<Prepared>& requests) {
  std::vector<Prepared*> order, open;
  for (Prepared& request : requests) order.push_back(&request);
  std::ranges::sort(order, [](const Prepared* a, const Prepared* b) {
    return std::tuple(a->prefill.begin, a->prefill.end, a->told->request->id) <
           std::tuple(b->prefill.begin, b->prefill.end, b->told->request->id);
  });
  std::vector<double> left;  // of the open ones
  std::size_t next = 0;
  for (const EngineStep& step : steps) {
    while (next < order.size() && order[next]->prefill.begin < step.interval.end) {
      Prepared* const one = order[next++];
      const auto place = std::ranges::upper_bound(open, turn_of(one), {}, turn_of);
      left.insert(left.begin() + (place - open.begin()), one->uncached);
      open.insert(place, one);
    }
    for (std::size_t i = open.size(); i-- > 0;) {
      if (open[i]->prefill.end > step.interval.begin) continue;
      const auto gone = static_cast<std::ptrdiff_t>(i);
      open.erase(open.begin() + gone), left.erase(left.begin() + gone);
    }
    double tokens = step.prefill_tokens;
    for (std::size_t i = 0; i < open.size() && tokens > 0; ++i) {
      const double taken = std::min(tokens, left[i]);
      if (taken <= 0) continue;
      open[i]->chunks.emplace_back(step.interval, taken);
      left[i] -= taken;
      tokens -= taken;
    }
  }
  for (Prepared& request : requests) {
    if (request.told->first_token) continue;
    request.never_begun = request.chunks.empty();
    request.uncached = 0;
    for (const auto& [step, taken] : request.chunks) request.uncached += taken;
  }
}

// Without steps: a prompt is not worked on before the one whose first token came before its own was done; but at the
// fastest rate that any request showed it must have been.
void place_in_turn(const Typical& typical, std::vector<Prepared>& requests) {
  std::vector<Instant> firsts;
  for (const Prepared& request : requests)
    if (request.told->first_token) firsts.push_back(request.prefill.end);
  std::ranges::sort(firsts);
  for (Prepared& request : requests) {
    if (!request.told->first_token || typical.fastest_tokens_per_s <= 0) continue;
    const auto own = std::ranges::lower_bound(firsts, request.prefill.end);
    const Instant turn = own == firsts.begin() ? request.prefill.begin : *(own - 1);
    const auto least_ns = static_cast<std::int64_t>(request.uncached / typical.fastest_tokens_per_s * 1e9);
    const bool holds = request.told->children.prefill == nullptr || request.told->children.prefill->attribute("holds");
    const Instant latest{request.prefill.end.ns - std::min(least_ns, request.prefill.length().ns)};
    // Where the span holds the queue, nothing else says when it began.
    request.prefill.begin = std::max(request.prefill.begin, holds ? latest : std::min(turn, latest));
  }
}

// Returns when it began.
Instant place_prefill(const Prepared& request, PlacedWork& work) {
  const Interval prefill = request.prefill;
  work.add(prefill.begin.ns, {});
  double all = 0, done = 0;
  Instant began = prefill.end;
  for (const auto& [step, tokens] : request.chunks) all += tokens;
  for (const auto& [step, tokens] : request.chunks) {
    const Interval within{std::max(step.begin, prefill.begin), std::min(step.end, prefill.end)};
    work.add(within.begin.ns, {request.uncached * (done / all), 0, 0});
    done += tokens;
    work.add(within.end.ns, {request.uncached * (done / all), 0, 0});
    began = std::min(began, within.begin);
  }
  work.add(prefill.end.ns, {request.uncached, 0, 0});
  return all > 0 || request.never_begun ? began : prefill.begin;
}

void place_decode(const Prepared& request, Interval decode, const std::optional<KvReads>& kv, PlacedWork& work) {
  const Told& told = *request.told;
  const double prompt = request.prompt, output = request.output;
  const WorkAmount before = work.whole();
  const double further = std::floor(std::max(output - 1, 0.0));
  const auto& tokens = told.children.tokens;
  const bool by_token = tokens.size() > 1 && static_cast<double>(tokens.size()) == output;
  const auto knots = static_cast<std::size_t>(std::min(further, static_cast<double>(most_knots)));
  for (std::size_t knot = 1; knot <= knots; ++knot) {
    const double made = std::floor(further * static_cast<double>(knot) / static_cast<double>(knots));
    const double length_ns = static_cast<double>(decode.length().ns);
    const std::int64_t at = by_token ? tokens[static_cast<std::size_t>(made)]
                                     : decode.begin.ns + static_cast<std::int64_t>(length_ns * (made / further));
    work.add(at, before + WorkAmount{0, made, kv_read(prompt, made, kv)});
  }
}

PlacedWork place(const Prepared& prepared, const std::optional<KvReads>& kv) {
  PlacedWork work;
  const Told& told = *prepared.told;
  const Instant began = place_prefill(prepared, work);
  Instant last = prepared.prefill.end;
  if (!told.children.tokens.empty()) last.ns = std::max(last.ns, told.children.tokens.back());
  if (told.children.decode != nullptr) last = std::max(last, told.children.decode->interval.end);
  if (!told.first_token) last = told.request->interval.end;
  work.served = {began, std::min(last, told.request->interval.end)};
  work.assumed = prepared.assumed;
  if (told.first_token) place_decode(prepared, {prepared.prefill.end, last}, kv, work);
  return work;
}

std::vector<EngineStep> steps_of(std::span<const Span> all) {
  std::vector<EngineStep> steps;
  for (const Span& span : all)
    if (is_engine_step(span) && span.interval.begin < span.interval.end)
      steps.push_back({span.interval, number(span.count("prefill_tokens").value_or(0)),
                       number(span.count("decode_tokens").value_or(0))});
  std::ranges::sort(steps, {}, [](const EngineStep& step) { return step.interval.begin; });
  return steps;
}

}  // namespace

bool is_engine_step(const Span& span) { return span.kind == SpanKind::phase && span.name == phase::step; }

bool requests_overlap(std::span<const Span> spans) {
  std::vector<Interval> requests;
  for (const Span& span : spans)
    if (span.kind == SpanKind::request && span.interval.begin < span.interval.end) requests.push_back(span.interval);
  std::ranges::sort(requests, {}, &Interval::begin);
  for (std::size_t i = 0; i + 1 < requests.size(); ++i)
    if (requests[i + 1].begin < requests[i].end) return true;
  return false;
}

void PlacedWork::add(std::int64_t at_ns, const WorkAmount& until) {
  if (!knots_.empty()) at_ns = std::max(at_ns, knots_.back().at_ns);
  knots_.push_back({at_ns, until});
}

WorkAmount PlacedWork::until(std::int64_t at_ns) const {
  const auto after = std::ranges::upper_bound(knots_, at_ns, {}, &Knot::at_ns);
  if (after == knots_.begin()) return {};
  const Knot& left = *(after - 1);
  if (after == knots_.end()) return left.until;
  const double share =
      static_cast<double>(at_ns - left.at_ns) / static_cast<double>(after->at_ns - left.at_ns);  // not 0: upper bound
  const WorkAmount step = after->until - left.until;
  return left.until + WorkAmount{step.prefill_tokens * share, step.decode_tokens * share, step.kv_read * share};
}

WorkAmount PlacedWork::between(std::int64_t from_ns, std::int64_t to_ns) const { return until(to_ns) - until(from_ns); }

WorkInTime place_work(std::span<const Span> all, std::span<const Span> kept, const std::optional<KvReads>& kv) {
  WorkInTime result;
  std::unordered_map<std::uint64_t, Children> children;
  for (const Span& span : all) {
    if (span.parent.value == 0) continue;
    if (span.kind == SpanKind::prefill) children[span.parent.value].prefill = &span;
    if (span.kind == SpanKind::decode) children[span.parent.value].decode = &span;
    if (span.kind == SpanKind::token) children[span.parent.value].tokens.push_back(span.interval.end.ns);
  }
  result.steps = steps_of(all);
  std::vector<Told> requests;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].kind != SpanKind::request) continue;
    requests.push_back(told_of(kept[i], std::move(children[kept[i].id.value])));
    index.push_back(i);
  }
  const Typical typical = typical_of(requests);
  if (!typical.prompt && !typical.output) {
    result.absent = "no request tells how many tokens it had";
    return result;
  }
  std::vector<Prepared> prepared;
  for (const Told& told : requests) prepared.push_back(prepare(told, typical, !result.steps.empty()));
  if (result.steps.empty())
    place_in_turn(typical, prepared);
  else
    place_in_steps(result.steps, prepared);
  result.requests.resize(kept.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    result.requests[index[i]] = place(prepared[i], kv);
    if (result.requests[index[i]].assumed) ++result.assumed;
  }
  return result;
}

}  // namespace prony::attribution
