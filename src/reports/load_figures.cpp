#include "reports/load_figures.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "model/metrics.hpp"

namespace prony {

namespace {

std::optional<double> known(const metrics::Maybe<double>& value) {
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<double> plus(const std::optional<double>& a, const std::optional<double>& b) {
  return a && b ? std::optional(*a + *b) : std::nullopt;
}

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

std::int64_t due_ns(const RequestRow& row) {
  return row.span.count("scheduled_ns").value_or(row.span.interval.begin.ns);
}

// The most intervals [begin, end) that overlap at one instant: one that ends where another begins is gone by then.
std::size_t most_at_once(const std::vector<const RequestRow*>& rows) {
  std::vector<std::pair<std::int64_t, int>> edges;
  for (const RequestRow* row : rows) {
    edges.emplace_back(row->span.interval.begin.ns, 1);
    edges.emplace_back(row->span.interval.end.ns, -1);
  }
  std::sort(edges.begin(), edges.end());
  std::size_t now = 0, most = 0;
  for (const auto& [at, change] : edges) {
    now += change > 0 ? 1 : 0;
    now -= change < 0 && now > 0 ? 1 : 0;
    most = std::max(most, now);
  }
  return most;
}

struct Values {
  std::vector<double> ttft, tpot, itl, e2e, late, ttft_sent, e2e_sent;
};

void add_times(const RequestRow& row, bool open, Values& values) {
  const auto add = [](std::vector<double>& all, const std::optional<double>& value) {
    if (value) all.push_back(*value);
  };
  const auto late = late_s(row);
  add(values.ttft, late ? plus(row.ttft_s, late) : row.ttft_s);
  add(values.e2e, late ? plus(row.e2e_s, late) : row.e2e_s);
  add(values.tpot, row.tpot_s);
  values.itl.insert(values.itl.end(), row.gaps_s.begin(), row.gaps_s.end());
  if (!open) return;
  add(values.ttft_sent, row.ttft_s);
  add(values.e2e_sent, row.e2e_s);
}

void add_tokens(const RequestRow& row, LevelFigures& level) {
  if (row.output_tokens) level.output_tokens = level.output_tokens.value_or(0) + *row.output_tokens;
  if (!row.output_tokens || !row.prompt_tokens) return;
  level.prompt_tokens = level.prompt_tokens.value_or(0) + *row.prompt_tokens;
  ++level.told_tokens;
}

void judge(const RequestRow& row, RequestEnd end, const Slo& slo, LevelFigures& level) {
  if (end == RequestEnd::cancelled) return;  // its client called it off: it was no promise of the server's any more
  if (end == RequestEnd::failed) {
    ++level.judged;
    return;
  }
  const double late = late_s(row).value_or(0);
  // All came in one piece: no time passed between its tokens, and none was too long.
  const bool at_once = row.output_tokens && row.ttft_s && row.e2e_s && *row.ttft_s == *row.e2e_s;
  const auto tpot = row.tpot_s || !at_once ? row.tpot_s : std::optional(0.0);
  const auto good = within(slo, plus(row.ttft_s, late), tpot, plus(row.e2e_s, late), row.output_tokens);
  if (!good) return;
  ++level.judged;
  level.within += *good ? 1 : 0;
}

void add_rates(const std::vector<const RequestRow*>& rows, LevelFigures& level) {
  std::int64_t first = due_ns(*rows.front()), last = first, end = rows.front()->span.interval.end.ns;
  std::size_t scheduled = 0;
  for (const RequestRow* row : rows) {
    first = std::min(first, due_ns(*row));
    last = std::max(last, due_ns(*row));
    end = std::max(end, row->span.interval.end.ns);
    scheduled += row->span.count("scheduled_ns") ? 1 : 0;
  }
  level.duration_s = seconds(end - first);
  if (scheduled > 1 && scheduled == rows.size() && last > first)
    level.offered_per_s = static_cast<double>(scheduled - 1) / seconds(last - first);
  if (level.duration_s <= 0) return;
  level.reached_per_s = static_cast<double>(level.ok) / level.duration_s;
  if (level.output_tokens) level.output_tokens_per_s = static_cast<double>(*level.output_tokens) / level.duration_s;
  // Of both only where every answer told both: else the sum is of something that nobody could name.
  if (level.prompt_tokens && level.told_tokens == level.ok)
    level.total_tokens_per_s = static_cast<double>(*level.prompt_tokens + *level.output_tokens) / level.duration_s;
}

}  // namespace

RequestEnd end_of(const RequestRow& row) {
  if (row.span.status != SpanStatus::ok || row.finish == "error") return RequestEnd::failed;
  return row.finish == "stop" || row.finish == "cancelled" ? RequestEnd::cancelled : RequestEnd::ok;
}

std::optional<double> late_s(const RequestRow& row) {
  const auto scheduled = row.span.count("scheduled_ns");
  if (!scheduled) return std::nullopt;
  return seconds(row.span.interval.begin.ns - *scheduled);
}

Spread spread_of(const std::vector<double>& values) {
  Spread spread;
  spread.count = values.size();
  if (values.empty()) return spread;
  spread.mean = known(metrics::mean(values));
  spread.sd = known(metrics::sd(values));
  spread.min = *std::min_element(values.begin(), values.end());
  spread.max = *std::max_element(values.begin(), values.end());
  spread.p50 = known(metrics::percentile(values, 0.5));
  spread.p90 = known(metrics::percentile(values, 0.9));
  spread.p99 = known(metrics::percentile(values, 0.99));
  return spread;
}

LevelFigures figures_of(const std::vector<const RequestRow*>& rows, const Slo* slo) {
  LevelFigures level;
  level.requests = rows.size();
  if (rows.empty()) return level;
  Values values;
  for (const RequestRow* row : rows) level.open = level.open || row->span.count("scheduled_ns").has_value();
  for (const RequestRow* row : rows) {
    const RequestEnd end = end_of(*row);
    ++(end == RequestEnd::ok ? level.ok : end == RequestEnd::failed ? level.failed : level.cancelled);
    if (const auto late = late_s(*row)) values.late.push_back(*late);
    if (slo != nullptr) judge(*row, end, *slo, level);
    if (end != RequestEnd::ok) continue;  // a failure is often quick: it would make the server look good
    add_times(*row, level.open, values);
    add_tokens(*row, level);
  }
  level.begin_s = rows.front()->begin_s;
  level.most_under_way = most_at_once(rows);
  add_rates(rows, level);
  level.ttft = spread_of(values.ttft);
  level.tpot = spread_of(values.tpot);
  level.itl = spread_of(values.itl);
  level.e2e = spread_of(values.e2e);
  level.late = spread_of(values.late);
  level.ttft_sent = spread_of(values.ttft_sent);
  level.e2e_sent = spread_of(values.e2e_sent);
  if (slo != nullptr && level.judged > 0) {
    level.share_within = static_cast<double>(level.within) / static_cast<double>(level.judged);
    if (level.duration_s > 0) level.goodput_per_s = static_cast<double>(level.within) / level.duration_s;
  }
  return level;
}

std::optional<LoadFigures> load_figures(const Summary& summary) {
  LoadFigures load;
  load.mode = summary.fact("load.mode");
  if (load.mode.empty() || summary.requests.empty()) return std::nullopt;
  load.description = summary.fact("load.arrivals");
  load.scenario = summary.fact("load.scenario");
  load.knee = summary.fact("load.knee");
  if (const auto count = parse_u64(summary.fact("load.not_begun"))) load.not_begun = *count;
  if (const std::string text = summary.fact("load.slo"); !text.empty())
    if (auto slo = parse_slo(text)) load.slo = *slo;
  const Slo* slo = load.slo ? &*load.slo : nullptr;
  std::vector<const RequestRow*> all;
  std::map<std::int64_t, std::vector<const RequestRow*>> levels;
  for (const RequestRow& row : summary.requests) {
    all.push_back(&row);
    if (const auto number = row.span.count("level")) levels[*number].push_back(&row);
  }
  load.all = figures_of(all, slo);
  for (const auto& [number, rows] : levels) {
    LevelFigures level = figures_of(rows, slo);
    level.number = number;
    const std::string key = "load.level." + std::to_string(number);
    level.name = summary.fact(key);
    level.oversaturated = summary.fact(key + ".oversaturated") == "true";
    load.levels.push_back(std::move(level));
  }
  return load;
}

}  // namespace prony
