#include "app/frame_maker.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <set>

#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr Duration fold_length = milliseconds(60'000);
constexpr Duration frame_patience = milliseconds(3'000);  // a lane that is further behind than this is not waited for
constexpr Duration tokens_over = milliseconds(60'000), tokens_least = milliseconds(5'000);
constexpr std::array<std::string_view, 3> parties{"others", "prony", "unattributed"};

struct Word {
  std::string_view word;
  bool (*tells)(const Channel& channel);
};

bool is_gpu(const Channel& channel) {
  return channel.sensor == "nvml" || channel.sensor == "amdgpu" || channel.sensor == "intel-gpu" ||
         channel.domain.starts_with("gpu");
}
template <Measure... Measures>
bool measures(const Channel& channel) {
  return ((channel.measure == Measures) || ...);
}

constexpr std::array<Word, 8> metric_words{{
    {"cpu",
     [](const Channel& c) {
       return measures<Measure::cpu_time>(c) || c.sensor == "cycles" || c.sensor == "cpuidle" || c.sensor == "pressure";
     }},
    {"memory", [](const Channel& c) { return c.sensor == "memory" || (measures<Measure::memory>(c) && !is_gpu(c)); }},
    {"network", [](const Channel& c) { return c.sensor == "network"; }},
    {"disk", [](const Channel& c) { return c.sensor == "disk"; }},
    {"power",
     [](const Channel& c) {
       return gives_energy(c) || measures<Measure::voltage, Measure::current, Measure::stored_energy>(c) ||
              c.sensor == "power_supply";
     }},
    {"gpu", [](const Channel& c) { return is_gpu(c); }},
    {"temperature", [](const Channel& c) { return measures<Measure::temperature, Measure::fan_speed>(c); }},
    {"clock", [](const Channel& c) { return measures<Measure::frequency>(c) || c.sensor == "throttle"; }},
}};

// "rapl.package-0.energy" → "rapl.package-0".
std::string base_name(const Channel& channel) {
  for (const std::string_view ending : {".energy", ".power"})
    if (std::string_view(channel.name).ends_with(ending))
      return channel.name.substr(0, channel.name.size() - ending.size());
  return channel.name;
}

std::string unit_ending(Measure measure) {
  if (measure == Measure::count) return "_count";
  std::string ending = "_";
  for (const char c : unit_of(measure)) ending += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == "_1" ? "_fraction" : ending;
}

}  // namespace

bool Metrics::has(std::string_view word) const {
  return this->words.empty() || std::ranges::find(this->words, word) != this->words.end();
}

bool Metrics::wants(const Channel& channel) const {
  return this->words.empty() || channel.sensor == "engine" ||  // asked for by an option of its own
         std::ranges::any_of(metric_words, [&](const Word& w) { return has(w.word) && w.tells(channel); });
}

// Joules are split by CPU time, and modelled ones made of it and of clocks.
bool Metrics::needs(const Channel& channel) const {
  const bool splits = channel.measure == Measure::cpu_time || channel.measure == Measure::frequency ||
                      channel.scope != Scope::host || channel.sensor == "cycles";
  return wants(channel) || ((has("power") || has("gpu")) && splits);
}

Result<Metrics> parse_metrics(std::string_view text) {
  Metrics metrics;
  std::vector<std::string> known;
  std::string all;
  for (const Word& word : metric_words) {
    known.emplace_back(word.word);
    all += (all.empty() ? "" : ", ") + known.back();
  }
  for (const std::string_view part : split(text, ',')) {
    const std::string word(trim(part));
    if (word.empty() && trim(text).empty()) continue;  // nothing at all was asked for: everything
    if (std::ranges::find(known, word) == known.end()) {
      const auto near = nearest_name(word, known);
      return fail(ErrorCode::usage, "there is no metric called '" + printable(word, 40) + "'", "--metrics",
                  (near ? "Did you mean '" + *near + "'? " : std::string()) + "There are " + all + ".");
    }
    metrics.words.push_back(word);
  }
  return metrics;
}

FrameMaker::FrameMaker(FramePlan plan) : plan_(std::move(plan)) {
  std::uint32_t most = 0;
  for (const Channel& channel : plan_.channels) most = std::max(most, channel.id.value + 1);
  newest_.resize(most);
  newest_at_.resize(most, Instant{std::numeric_limits<std::int64_t>::min() / 2});
  pace_.resize(most, plan_.interval);
  counts_.resize(most);
  for (const Channel& channel : plan_.channels) counts_[channel.id.value].rules = counter_rules(channel);
  for (const Group& group : plan_.groups) {
    lanes_.push_back({group, {}, {}, group.interval <= plan_.interval});
    for (const ChannelId id : group.channels) pace_[id.value] = std::max(group.interval, plan_.interval);
  }
  add_series();
}

void FrameMaker::add_series() {
  for (const Channel& channel : plan_.channels) {
    if (!plan_.metrics.wants(channel)) continue;
    if (gives_energy(channel)) {
      add_energy_series(channel);
      continue;
    }
    Series series{channel.name + unit_ending(channel.measure), SeriesKind::reading, channel, {}};
    if (channel.scope == Scope::prony) series.target = "prony";
    if (channel.scope == Scope::target) series.target = channel.target.empty() ? "command" : channel.target;
    series_.push_back(std::move(series));
  }
  add_token_series();
  sums_.resize(series_.size());
}

// Where a server's own counters are read: its output tokens a second, and each domain's joules for one of them.
void FrameMaker::add_token_series() {
  for (const Channel& channel : plan_.channels)
    if (channel.sensor == "engine" && channel.domain == "output-tokens") token_channels_.push_back(channel.id);
  if (token_channels_.empty()) return;
  token_rate_ = series_.size();
  series_.push_back(
      {"engine.output_tokens_per_s", SeriesKind::token_rate, plan_.channels[token_channels_.front().value], {}});
  first_token_energy_ = series_.size();
  for (const Energy& energy : energies_) {
    const Channel& channel = plan_.channels[energy.channel.value];
    series_.push_back({base_name(channel) + ".gross_per_output_token_j", SeriesKind::token_energy, channel, {}});
  }
}

// Over a minute, and five seconds at least: what a sensor tells between two frames is too coarse for so few tokens.
void FrameMaker::tell_tokens(Frame& frame) {
  if (token_channels_.empty()) return;
  TokenPoint now{frame.at, 0, {}};
  for (const ChannelId id : token_channels_) {
    if (!stands(id, frame.at) || !counts_[id.value].before) return token_points_.clear();
    now.tokens += counts_[id.value].sum;
  }
  for (const Energy& energy : energies_) now.gross.push_back(frame.values[energy.gross]);
  while (!token_points_.empty() && now.at - token_points_.front().at > tokens_over) token_points_.pop_front();
  token_points_.push_back(now);
  const TokenPoint& then = token_points_.front();
  const double tokens = now.tokens - then.tokens, seconds = (now.at - then.at).seconds().value();
  if (now.at - then.at < tokens_least) return;
  frame.values[token_rate_] = tokens / seconds;
  if (tokens <= 0) return;  // joules of none are not joules of one
  for (std::size_t i = 0; i < energies_.size(); ++i)
    if (now.gross[i] && then.gross[i])
      frame.values[first_token_energy_ + i] = (*now.gross[i] - *then.gross[i]) / tokens;
}

void FrameMaker::add_energy_series(const Channel& channel) {
  std::string base = base_name(channel);
  const auto taken = [&](const Series& series) { return series.name == base + ".gross_j"; };
  if (std::ranges::any_of(series_, taken)) base = channel.name;
  Energy energy;
  energy.channel = channel.id;
  energy.power = series_.size();
  series_.push_back({base + ".power_w", SeriesKind::power, channel, {}});
  energy.gross = series_.size();
  series_.push_back({base + ".gross_j", SeriesKind::gross, channel, {}});
  energy.first_charged = series_.size();
  for (const std::string& target : plan_.targets)
    series_.push_back({base + ".target." + target + ".charged_j", SeriesKind::charged, channel, target});
  for (const std::string_view party : parties)
    series_.push_back(
        {base + "." + std::string(party) + ".charged_j", SeriesKind::charged, channel, std::string(party)});
  energies_.push_back(energy);
}

void FrameMaker::see(const TickBlock& block) {
  const auto lane = std::ranges::find(lanes_, block.group(), [](const Lane& one) { return one.group.id; });
  if (lane == lanes_.end()) return;
  for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
    Tick copy{block.begin(tick), block.end(tick), {}};
    for (std::size_t c = 0; c < block.channels(); ++c) copy.readings.push_back(block.reading(c, tick));
    lane->waiting.push_back(std::move(copy));
  }
}

// Its ticks are what frames are made at: the first lane that ticks at least as often as frames come and is not stuck.
const FrameMaker::Lane* FrameMaker::lead() const {
  const Lane* lead = nullptr;
  for (const Lane& lane : lanes_) {
    if (lane.waiting.empty()) continue;
    if (lead == nullptr || (lane.keeps_up && !lead->keeps_up)) lead = &lane;
  }
  return lead;
}

// Until when every lane that keeps up has told all.
Instant FrameMaker::complete_until(bool last) const {
  Instant newest{std::numeric_limits<std::int64_t>::min()};
  const auto latest = [](const Lane& lane) -> std::optional<Instant> {
    if (!lane.waiting.empty()) return lane.waiting.back().end;
    return lane.before ? std::optional(lane.before->end) : std::nullopt;
  };
  for (const Lane& lane : lanes_)
    if (const auto at = latest(lane)) newest = std::max(newest, *at);
  if (last) return newest;
  Instant until = newest;
  for (const Lane& lane : lanes_) {
    const auto at = latest(lane);
    if (!lane.keeps_up || !at) continue;
    if (newest - *at <= std::max(frame_patience, 3 * plan_.interval)) until = std::min(until, *at);
  }
  return until;
}

void FrameMaker::make(const Anchor& anchor, bool last, const std::function<void(Frame)>& take) {
  const Instant until = complete_until(last);
  while (const Lane* lane = lead()) {
    std::optional<Instant> at;
    const Duration slack{std::min(lane->group.interval, plan_.interval).ns / 2};
    for (const Tick& tick : lane->waiting) {
      if (tick.end > until) break;
      const bool due = !last_frame_ || tick.end >= *last_frame_ + plan_.interval - slack;
      const bool end = last && &tick == &lane->waiting.back();
      if (!due && !end) continue;
      at = tick.end;
      break;
    }
    if (!at) return;
    fold_until(*at);
    take(frame_at(*at, anchor));
    last_frame_ = at;
  }
}

void FrameMaker::begin_fold(Instant at) {
  for (Sum& sum : sums_) {
    sum.ended += sum.now;
    sum.now = 0;
  }
  AttributionOptions options;
  options.targets = plan_.targets;
  fold_ = std::make_unique<Attribution>(plan_.channels, plan_.groups, std::span<const Span>{}, options);
  fold_began_ = at;
  for (const Lane& lane : lanes_) {
    if (!lane.before) continue;
    TickBlock block(lane.group.id, lane.group.channels.size(), 1);
    block.push(lane.before->begin, lane.before->end, lane.before->readings);
    fold_->push(block);
  }
}

void FrameMaker::fold_until(Instant until) {
  if (!fold_ || (last_frame_ && *last_frame_ - fold_began_ >= fold_length)) begin_fold(last_frame_.value_or(until));
  for (Lane& lane : lanes_) {
    std::size_t count = 0;
    while (count < lane.waiting.size() && lane.waiting[count].end <= until) ++count;
    if (count == 0) continue;
    TickBlock block(lane.group.id, lane.group.channels.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      const Tick& tick = lane.waiting[i];
      block.push(tick.begin, tick.end, tick.readings);
      for (std::size_t c = 0; c < lane.group.channels.size(); ++c) {
        const std::uint32_t id = lane.group.channels[c].value;
        if (id < plan_.channels.size()) note(plan_.channels[id], tick.readings[c], tick);
      }
    }
    fold_->push(block);
    lane.before = std::move(lane.waiting[count - 1]);
    lane.waiting.erase(lane.waiting.begin(), lane.waiting.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

void FrameMaker::note(const Channel& channel, const Reading& reading, const Tick& tick) {
  if (reading.quality == Quality::gap) return;
  const std::uint32_t id = channel.id.value;
  const Instant before_at = newest_at_[id];
  newest_at_[id] = tick.end;
  if (gives_energy(channel)) return;
  if (channel.kind == ChannelKind::gauge) {
    newest_[id] = static_cast<double>(reading.raw) * channel.scale;
    return;
  }
  Count& count = counts_[id];
  const auto now = static_cast<std::uint64_t>(reading.raw);
  const double elapsed_s = count.before ? (tick.end - before_at + channel.update_period).seconds().value() : 0;
  count.sum += static_cast<double>(advance(count.rules, count.before, now, elapsed_s).counts) * channel.scale;
  count.before = now;
}

void FrameMaker::take(std::size_t series, const std::optional<Estimate>& joules) {
  if (!joules) return;
  Sum& sum = sums_[series];
  sum.now = joules->value;
  sum.told = std::max(sum.told, sum.ended + sum.now);
  sum.known = true;
}

void FrameMaker::take_ledger(const Ledger& ledger) {
  for (const Energy& energy : energies_) {
    const auto row = std::ranges::find(ledger.energy, energy.channel, &ChannelLedger::channel);
    if (row == ledger.energy.end()) continue;
    take(energy.gross, row->recorded);
    for (std::size_t t = 0; t < plan_.targets.size(); ++t) {
      const auto told = std::ranges::find(row->targets, plan_.targets[t], &TargetEnergy::target);
      if (told != row->targets.end()) take(energy.first_charged + t, told->charged);
    }
    const std::size_t behind = energy.first_charged + plan_.targets.size();
    take(behind, row->foreign);
    take(behind + 1, row->prony);
    take(behind + 2, row->unattributed);
  }
}

// Nothing is told of what has not been read for three turns.
bool FrameMaker::stands(ChannelId channel, Instant at) const {
  return at - newest_at_[channel.value] <= 3 * pace_[channel.value];
}

// Mean power between the two newest readings that lie a frame or more apart.
void FrameMaker::tell_power(Energy& energy, Frame& frame) {
  const Instant now = newest_at_[energy.channel.value];
  const double gross = sums_[energy.gross].told;
  if (energy.at_before.ns == 0) {
    energy.at_before = now;
    energy.gross_before = gross;
  } else if (now > energy.at_before) {
    energy.watts = (gross - energy.gross_before) / (now - energy.at_before).seconds().value();
    energy.at_before = now;
    energy.gross_before = gross;
  }
  frame.values[energy.power] = energy.watts;
}

Frame FrameMaker::frame_at(Instant at, const Anchor& anchor) {
  Frame frame;
  frame.at = at;
  frame.wall_ns = anchor.wall_ns + (at - anchor.monotonic).ns;
  frame.values.resize(series_.size());
  take_ledger(fold_->finish());
  for (std::size_t i = 0; i < series_.size(); ++i) {
    const Series& series = series_[i];
    const std::uint32_t id = series.channel.id.value;
    if (series.kind == SeriesKind::power || series.kind == SeriesKind::token_rate ||
        series.kind == SeriesKind::token_energy || !stands(series.channel.id, at))
      continue;
    if (series.kind != SeriesKind::reading) {
      if (sums_[i].known) frame.values[i] = sums_[i].told;
    } else if (series.channel.kind == ChannelKind::counter) {
      if (counts_[id].before) frame.values[i] = counts_[id].sum;
    } else {
      frame.values[i] = newest_[id];
    }
  }
  for (Energy& energy : energies_)
    if (stands(energy.channel, at)) tell_power(energy, frame);
  tell_tokens(frame);
  return frame;
}

}  // namespace prony::app
