#include "attribute/attribute.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "attribute/basis.hpp"
#include "attribute/state.hpp"

namespace prony {

namespace {

constexpr std::array<std::pair<IdleTo, std::string_view>, 3> idle_words{
    {{IdleTo::none, "none"}, {IdleTo::share, "share"}, {IdleTo::target, "target"}}};

constexpr std::array<std::pair<RequestShare, std::string_view>, 3> share_words{
    {{RequestShare::work, "work"}, {RequestShare::time, "time"}, {RequestShare::equal, "equal"}}};

}  // namespace

std::string_view to_string(RequestShare rule) noexcept {
  for (const auto& [value, word] : share_words)
    if (value == rule) return word;
  return "unknown";
}

std::optional<RequestShare> request_share_from(std::string_view text) noexcept {
  for (const auto& [value, word] : share_words)
    if (word == text) return value;
  return std::nullopt;
}

std::string_view to_string(IdleTo policy) noexcept {
  for (const auto& [value, word] : idle_words)
    if (value == policy) return word;
  return "unknown";
}

std::optional<IdleTo> idle_to_from(std::string_view text) noexcept {
  for (const auto& [value, word] : idle_words)
    if (word == text) return value;
  return std::nullopt;
}

namespace attribution {

void GaugeStats::Sum::add(double value) {
  if (readings == 0) min = max = first = value;
  min = std::min(min, value);
  max = std::max(max, value);
  sum += value;
  last = value;
  ++readings;
}

void GaugeStats::add(std::int64_t at, double value, const std::optional<Interval>& window) {
  if (!window || window->contains(Instant{at})) window_.add(value);
  if (requests_ == nullptr) return;
  while (next_request_ < requests_->size() && (*requests_)[next_request_].interval.begin.ns <= at)
    active_.push_back(next_request_++);
  std::erase_if(active_, [&](std::size_t index) { return (*requests_)[index].interval.end.ns <= at; });
  for (const std::size_t index : active_) per_request_[index].add(value);
}

namespace {

bool counts_here(SpanKind kind) {
  return kind == SpanKind::run || kind == SpanKind::phase || kind == SpanKind::request || kind == SpanKind::prefill ||
         kind == SpanKind::decode || kind == SpanKind::user;
}

bool seen_per_request(const Channel& channel) {
  return channel.kind == ChannelKind::gauge &&
         (channel.measure == Measure::temperature || channel.measure == Measure::frequency ||
          channel.measure == Measure::memory);
}

}  // namespace

}  // namespace attribution

using namespace attribution;

void Attribution::State::make_plan(std::span<const Channel> channels) {
  for (const Span& span : spans) {
    if (span.kind == SpanKind::run && !run) {
      run = span.interval;
      run_span = span.id;
    }
    plan.fixed.push_back(span.interval.begin.ns);
    plan.fixed.push_back(span.interval.end.ns);
  }
  std::ranges::sort(plan.fixed);
  plan.fixed.erase(std::ranges::unique(plan.fixed).begin(), plan.fixed.end());
  std::vector<const Channel*> all;
  for (const Channel& channel : channels) all.push_back(&channel);
  const Channel* busy = machine_basis(all, {}).host;
  busy_staleness_s =
      busy != nullptr && busy->update_period.ns > 0 ? busy->update_period.seconds().value() : unknown_staleness_s;
  if (busy != nullptr)
    plan.step_ns = std::max(shortest_cell_ns, staleness_per_cell * static_cast<std::int64_t>(busy_staleness_s * 1e9));
  if (run) {
    plan.step_ns = std::max(plan.step_ns, run->length().ns / most_cells);
    plan.grid_begin_ns = run->begin.ns;
    plan.grid_end_ns = run->end.ns;
  }
  make_plan_of_use();
}

// A span's edge that lies on the grid is asked for with the grid.
void Attribution::State::make_plan_of_use() {
  plan_of_use = plan;
  auto& fixed = plan_of_use.fixed;
  std::erase_if(fixed, [&](std::int64_t ns) { return ns % plan.step_ns != 0; });
  for (const Span& span : spans)
    if (span.kind == SpanKind::run || span.kind == SpanKind::phase)
      fixed.insert(fixed.end(), {span.interval.begin.ns, span.interval.end.ns});
  std::ranges::sort(fixed);
  fixed.erase(std::ranges::unique(fixed).begin(), fixed.end());
  fixed.shrink_to_fit();
}

void Attribution::State::make_folds(std::span<const Channel> channels, std::span<const Group> groups) {
  for (std::size_t index = 0; index < spans.size(); ++index)
    if (spans[index].kind == SpanKind::request) requests.push_back({spans[index].interval, index});
  std::ranges::sort(requests, {},
                    [](const GaugeStats::Request& request) { return std::pair(request.interval.begin, request.span); });
  std::unordered_map<std::uint32_t, const Group*> group_of;
  for (const Group& group : groups)
    for (const ChannelId channel : group.channels) group_of[channel.value] = &group;
  // Memory held is integrated where it may split something.
  const bool memory = std::ranges::any_of(
      channels, [](const Channel& channel) { return gives_energy(channel) && fed_by(channel) == Feeds::memory; });
  std::unordered_map<std::uint32_t, std::size_t> fold_of;
  for (const Channel& channel : channels) {
    const Group* group = group_of[channel.id.value];
    const std::int64_t interval_ns = group == nullptr ? 0 : group->interval.ns;
    const Plan* const asked = gives_energy(channel) ? &plan : &plan_of_use;
    Fold fold{channel, asked, {}, {}, {}, group == nullptr ? Pace() : Pace(*group), is_cpu_clock(channel)};
    if (channel.kind == ChannelKind::counter)
      fold.counter.emplace(channel, interval_ns, asked);
    else if (channel.measure == Measure::power || (memory && tells_use(channel)))
      fold.gauge.emplace(channel, interval_ns, asked);
    if (!gives_energy(channel)) fold.stats.emplace(seen_per_request(channel) ? &requests : nullptr);
    fold_of[channel.id.value] = folds.size();
    folds.push_back(std::move(fold));
  }
  for (const Group& group : groups) {
    auto& list = fold_of_group[group.id.value];
    for (const ChannelId channel : group.channels) {
      const auto found = fold_of.find(channel.value);
      list.push_back(found == fold_of.end() ? folds.size() : found->second);
    }
  }
}

namespace {

void push_channel(Fold& fold, const TickBlock& block, std::size_t column, const std::optional<Interval>& run) {
  const auto begins = block.begins();
  const auto ends = block.ends();
  const auto raws = block.raws(column);
  const auto qualities = block.qualities(column);
  for (std::size_t tick = 0; tick < raws.size(); ++tick) {
    if (const auto interval_ns = fold.pace.before(begins[tick])) {
      if (fold.counter) fold.counter->set_interval(*interval_ns);
      if (fold.gauge) fold.gauge->set_interval(*interval_ns);
    }
    if (qualities[tick] == Quality::gap) {
      fold.gap_in_window = fold.gap_in_window || !run || run->contains(Instant{ends[tick]});
      if (fold.counter) fold.counter->gap(ends[tick]);
      if (fold.gauge) fold.gauge->gap(ends[tick]);
      if (fold.stats) fold.stats->gap();
      continue;
    }
    if (fold.counter) fold.counter->poll(begins[tick], ends[tick], static_cast<std::uint64_t>(raws[tick]));
    if (fold.gauge) fold.gauge->poll(begins[tick], ends[tick], raws[tick]);
    if (fold.stats)
      fold.stats->add(begins[tick] + (ends[tick] - begins[tick]) / 2,
                      static_cast<double>(raws[tick]) * fold.channel.scale, run);
  }
}

}  // namespace

void Attribution::State::push_clocks(const TickBlock& block, std::span<const std::size_t> fold_of_column) {
  const auto is_clock = [&](std::size_t fold) { return fold < folds.size() && folds[fold].cpu_clock; };
  if (std::ranges::none_of(fold_of_column, is_clock)) return;
  for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
    ClockTick clocks_now;
    for (std::size_t column = 0; column < fold_of_column.size(); ++column)
      if (is_clock(fold_of_column[column]) && block.qualities(column)[tick] != Quality::gap)
        clocks_now.add(folds[fold_of_column[column]].channel, block.raws(column)[tick]);
    if (const auto reading = clocks_now.reading()) clocks.add(block.begin(tick).ns, *reading, plan, run);
  }
}

void Attribution::State::push(const TickBlock& block) {
  if (block.ticks() == 0) return;
  const Interval covered{block.begin(0), block.end(block.ticks() - 1)};
  if (!recorded) recorded = covered;
  recorded->begin = std::min(recorded->begin, covered.begin);
  recorded->end = std::max(recorded->end, covered.end);
  const auto found = fold_of_group.find(block.group().value);
  if (found == fold_of_group.end()) return;
  const std::size_t columns = std::min(found->second.size(), block.channels());
  for (std::size_t column = 0; column < columns; ++column) {
    const std::size_t index = found->second[column];
    if (index < folds.size()) push_channel(folds[index], block, column, run);
  }
  push_clocks(block, std::span(found->second).first(columns));
}

Attribution::Attribution(std::span<const Channel> channels, std::span<const Group> groups, std::span<const Span> spans,
                         const AttributionOptions& options)
    : state_(std::make_unique<State>()) {
  state_->options = options;
  for (const Span& span : spans)
    if (counts_here(span.kind) && !is_engine_step(span) && span.interval.begin <= span.interval.end)
      state_->spans.push_back(span);
  if (options.request_share == RequestShare::work && requests_overlap(state_->spans))
    state_->work = place_work(spans, state_->spans, options.kv_reads);
  // From here on a span is its window; its texts and counts, of very many requests, are much of what is kept of them.
  for (Span& span : state_->spans) {
    std::vector<std::pair<std::string, std::int64_t>>().swap(span.counts);
    std::erase_if(span.attributes, [](const auto& one) { return one.first != "clock" && one.first != "elsewhere"; });
    span.attributes.shrink_to_fit();
  }
  state_->make_plan(channels);
  state_->make_folds(channels, groups);
  state_->process_fold.begin(state_->plan.step_ns, state_->run);
}
Attribution::~Attribution() = default;
Attribution::Attribution(Attribution&&) noexcept = default;
Attribution& Attribution::operator=(Attribution&&) noexcept = default;

void Attribution::push(const TickBlock& block) { state_->push(block); }
void Attribution::push(const ProcessLook& look) { state_->process_fold.push(look); }
void Attribution::know(std::span<const ProcessRecord> processes) {
  state_->processes.assign(processes.begin(), processes.end());
}
Ledger Attribution::finish() { return state_->ledger(); }
Ledger Attribution::end() { return state_->last_ledger(); }

}  // namespace prony
