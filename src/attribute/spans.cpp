#include "attribute/spans.hpp"

#include <algorithm>
#include <unordered_map>

#include "model/target.hpp"

namespace prony::attribution {

namespace {

// Requests before phases before top-level user spans.
int rank_of(const Span& span, bool nested_user) {
  switch (span.kind) {
    case SpanKind::request: return 3;
    case SpanKind::phase: return 2;
    case SpanKind::user: return nested_user ? 0 : 1;
    default: return 0;
  }
}

// The target of the process with this pid that lived while the span ran: a pid is given again.
std::optional<std::size_t> target_of_writer(const Span& span, std::span<const std::string> targets,
                                            std::span<const ProcessRecord* const> same_pid) {
  const ProcessRecord* best = nullptr;
  std::int64_t best_ns = -1;
  for (const ProcessRecord* process : same_pid) {
    const std::int64_t shared = process->seen.overlap(span.interval).ns;
    if (shared > best_ns) best = process, best_ns = shared;
  }
  if (best == nullptr || best->target.empty()) return std::nullopt;
  const auto found = std::ranges::find(targets, best->target);
  if (found == targets.end()) return std::nullopt;
  return static_cast<std::size_t>(found - targets.begin());
}

std::optional<std::size_t> index_of(std::span<const std::string> targets, std::string_view name) {
  const auto found = std::ranges::find(targets, name);
  return found == targets.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - targets.begin()));
}

}  // namespace

Viewed owners_of_viewers(const std::vector<Span>& spans) {
  std::unordered_map<std::uint64_t, std::size_t> by_id;
  for (std::size_t i = 0; i < spans.size(); ++i) by_id[spans[i].id.value] = i;
  Viewed result(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const bool part = spans[i].kind == SpanKind::prefill || spans[i].kind == SpanKind::decode;
    const bool user = spans[i].kind == SpanKind::user;
    std::size_t at = i;
    for (std::size_t steps = 0; steps < spans.size() && (part || user); ++steps) {
      const auto parent = by_id.find(spans[at].parent.value);
      if (parent == by_id.end() || parent->second == at) break;
      at = parent->second;
      if (part && spans[at].kind == SpanKind::request) {
        result[i] = at;
        break;
      }
      if (user && spans[at].kind == SpanKind::user) result[i] = at;
    }
  }
  return result;
}

std::vector<std::size_t> targets_of_spans(const std::vector<Span>& spans, const Viewed& viewed,
                                          std::span<const std::string> targets,
                                          std::span<const ProcessRecord> processes,
                                          const std::string& requests_target) {
  std::vector<std::size_t> result(spans.size(), 0);
  if (targets.size() < 2) return result;
  std::unordered_map<std::int64_t, std::vector<const ProcessRecord*>> by_pid;
  for (const ProcessRecord& process : processes) by_pid[process.pid].push_back(&process);
  const auto named = index_of(targets, requests_target);
  const std::size_t otherwise = named ? *named : index_of(targets, command_target).value_or(0);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto writer = by_pid.find(spans[i].pid);
    std::optional<std::size_t> target;
    if (writer != by_pid.end() && !(named && spans[i].kind == SpanKind::request))
      target = target_of_writer(spans[i], targets, writer->second);
    result[i] = target.value_or(otherwise);
  }
  for (std::size_t i = 0; i < spans.size(); ++i)
    if (viewed[i]) result[i] = result[*viewed[i]];
  return result;
}

std::vector<Piece> make_pieces(const std::vector<Span>& spans, const Viewed& viewed, const std::vector<bool>& counts,
                               Interval window, const Plan& plan) {
  std::vector<std::pair<std::size_t, std::size_t>> starts, ends;  // fixed instant, span
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (!counts[i] || spans[i].kind == SpanKind::run || spans[i].interval.length().ns <= 0) continue;
    starts.emplace_back(plan.index_of(spans[i].interval.begin.ns), i);
    ends.emplace_back(plan.index_of(spans[i].interval.end.ns), i);
  }
  std::ranges::sort(starts);
  std::ranges::sort(ends);
  std::vector<Piece> pieces;
  std::vector<std::size_t> active;
  auto start = starts.begin(), end = ends.begin();
  for (std::size_t at = 0; at + 1 < plan.fixed.size(); ++at) {
    for (; end != ends.end() && end->first == at; ++end) std::erase(active, end->second);
    for (; start != starts.end() && start->first == at; ++start) active.push_back(start->second);
    if (active.empty() || plan.fixed[at] < window.begin.ns || plan.fixed[at + 1] > window.end.ns) continue;
    Piece piece{at, at + 1, {}, {}};
    int best = 1;
    for (const std::size_t span : active) best = std::max(best, rank_of(spans[span], viewed[span].has_value()));
    for (const std::size_t span : active)
      if (rank_of(spans[span], viewed[span].has_value()) == best) piece.owners.push_back(span);
    for (const std::size_t span : active)
      if (viewed[span] && std::ranges::find(piece.owners, *viewed[span]) != piece.owners.end())
        piece.viewers.push_back(span);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

bool is_host_asynchronous(const Span& span) { return span.attribute("clock") == "host-asynchronous"; }

bool is_elsewhere(const Span& span) { return span.attribute("elsewhere").has_value(); }

}  // namespace prony::attribution
