#include <algorithm>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "reports/load_figures.hpp"
#include "reports/scenario.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

using figures::count_of;
using figures::none;
using layout::Tone;
using Items = std::vector<std::string>;

std::string per_s(double value, const char* unit) { return figures::significant(value, 3) + unit; }
std::string time_or_none(const std::optional<double>& value) {
  return value ? figures::seconds(*value) : std::string(none);
}

Items rates(const LevelFigures& level, const LoadFigures& load) {
  Items items;
  if (!load.description.empty()) items.push_back(load.mode + ": " + printable(load.description, 120));
  items.push_back(count_of(level.requests) + " requests in " + figures::seconds(level.duration_s));
  if (level.offered_per_s) items.push_back("offered " + per_s(*level.offered_per_s, "/s"));
  if (level.reached_per_s) items.push_back("reached " + per_s(*level.reached_per_s, "/s"));
  items.push_back(count_of(level.most_under_way) + " under way at most");
  return items;
}

Items ends(const LevelFigures& level, const LoadFigures& load) {
  Items items{count_of(level.ok) + " answered"};
  if (level.failed > 0) items.push_back(count_of(level.failed) + " failed (not in the times below)");
  if (level.cancelled > 0) items.push_back(count_of(level.cancelled) + " cancelled (not in the times below)");
  if (load.not_begun.value_or(0) > 0) items.push_back(count_of(*load.not_begun) + " not begun");
  if (level.late.mean)
    items.push_back("sent " + figures::seconds(*level.late.mean) + " after schedule in the mean, " +
                    figures::seconds(*level.late.max) + " at most");
  return items;
}

Items token_items(const LevelFigures& level) {
  Items items;
  if (level.output_tokens_per_s) items.push_back(per_s(*level.output_tokens_per_s, " tok/s out"));
  if (level.total_tokens_per_s) items.push_back(per_s(*level.total_tokens_per_s, " tok/s in and out"));
  if (level.output_tokens)
    items.push_back(figures::count(static_cast<double>(*level.output_tokens)) + " output tokens");
  if (items.empty()) items.push_back("the server tells no counts of tokens");
  return items;
}

Items service_level(const LevelFigures& level, const LoadFigures& load) {
  Items items{(load.slo->preset.empty() ? "" : load.slo->preset + ": ") + describe(*load.slo)};
  if (level.goodput_per_s) items.push_back("goodput " + per_s(*level.goodput_per_s, "/s"));
  if (level.share_within)
    items.push_back(figures::percent(*level.share_within) + " within (" + count_of(level.within) + " of " +
                    count_of(level.judged) + (level.failed > 0 ? ", failed ones are not)" : ")"));
  const std::size_t unknown = level.ok + level.failed - level.judged;
  if (unknown > 0) items.push_back(count_of(unknown) + " not judged: a figure that has a limit is not known");
  return items;
}

std::string times_table(const LevelFigures& level, const TextOptions& o, Items& too_few) {
  layout::TextTable table;
  table.columns = {{"", false, 0, 0},   {"mean", true, 0, 0}, {"p50", true, 0, 0}, {"p90", true, 2, 0},
                   {"p99", true, 1, 0}, {"max", true, 0, 0},  {"n", true, 3, 0}};
  std::size_t most = 0;
  const auto row = [&](const char* name, const Spread& spread) {
    if (spread.count == 0) return;
    most = std::max(most, spread.count);
    table.rows.push_back({name, time_or_none(spread.mean), time_or_none(spread.p50), time_or_none(spread.p90),
                          time_or_none(spread.p99), time_or_none(spread.max), count_of(spread.count)});
  };
  row(level.open ? "TTFT from schedule" : "TTFT", level.ttft);
  if (level.open) row("TTFT from sending", level.ttft_sent);
  row("TPOT", level.tpot);
  row("ITL", level.itl);
  row(level.open ? "E2E from schedule" : "E2E", level.e2e);
  if (table.rows.empty()) return {};
  const std::size_t fewest = level.ttft.count;
  Items needs;
  for (const auto& [name, p] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}})
    if (fewest < metrics::least_count(p)) needs.push_back(std::string(name) + " " + count_of(metrics::least_count(p)));
  if (!needs.empty()) {
    too_few.push_back("a percentile is told from so many requests on: " + needs[0]);
    for (std::size_t i = 1; i < needs.size(); ++i) too_few.back() += ", " + needs[i];
  }
  Items left_out;
  return table.render(o.width, o.colour, left_out);
}

std::string levels_table(const LoadFigures& load, const TextOptions& o) {
  layout::TextTable table;
  table.columns = {{"level", false, 0, 12},   {"n", true, 2, 0},      {"offered", true, 5, 0}, {"reached", true, 0, 0},
                   {"under way", true, 6, 0}, {"TTFT", true, 0, 0},   {"worst", true, 4, 0},   {"TPOT", true, 1, 0},
                   {"tok/s out", true, 0, 0}, {"within", true, 0, 0}, {"", false, 0, 0}};
  for (const LevelFigures& level : load.levels) {
    const auto rate = [](const std::optional<double>& value, const char* unit) {
      return value ? per_s(*value, unit) : std::string(none);
    };
    table.rows.push_back({level.name.empty() ? std::to_string(level.number) : printable(level.name, 60),
                          count_of(level.requests), rate(level.offered_per_s, "/s"), rate(level.reached_per_s, "/s"),
                          count_of(level.most_under_way),
                          time_or_none(level.ttft.p50 ? level.ttft.p50 : level.ttft.mean),
                          time_or_none(level.ttft.p99 ? level.ttft.p99 : level.ttft.max), time_or_none(level.tpot.mean),
                          rate(level.output_tokens_per_s, ""),
                          level.share_within ? figures::percent(*level.share_within) : std::string(),
                          level.oversaturated ? "overloaded, ended early"
                          : level.failed > 0  ? "failures"
                                              : ""});
  }
  Items left_out;
  return table.render(o.width, o.colour, left_out);
}

}  // namespace

std::string load_part(const Summary& summary, const TextOptions& o) {
  const auto load = load_figures(summary);
  if (!load) return {};
  std::string out;
  const auto line = [&](const char* label, const Items& items, Tone tone = Tone::plain) {
    out += layout::labelled(label, items, o.width, tone, o.colour);
  };
  line("load", rates(load->all, *load));
  line("", ends(load->all, *load), load->all.failed > 0 ? Tone::warning : Tone::plain);
  Items too_few;
  if (load->levels.size() > 1)
    out += "\n" + levels_table(*load, o) + "\n";
  else if (const std::string table = times_table(load->all, o, too_few); !table.empty())
    out += "\n" + table + "\n";
  line("tokens", token_items(load->all));
  if (load->slo) line("SLO", service_level(load->all, *load));
  if (!load->knee.empty()) line("knee", {printable(load->knee, 300)});
  line("too few", too_few);
  if (const auto verdict = scenario_verdict(summary, *load)) {
    line("scenario", verdict->words, verdict->valid ? Tone::plain : Tone::warning);
    for (const std::string& reason : verdict->reasons) line("", {reason});
  }
  return out + "\n";
}

}  // namespace prony::text
