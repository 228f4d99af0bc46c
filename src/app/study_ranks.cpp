#include "app/study_ranks.hpp"

#include <unistd.h>

#include "app/common.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/load_figures.hpp"
#include "reports/summary.hpp"
#include "reports/text_layout.hpp"
#include "store/run.hpp"
#include "study/ranks.hpp"

namespace prony::app {

namespace {

std::optional<std::size_t> number_of(const std::string& text) {
  const auto number = parse_u64(text);
  return number ? std::optional(static_cast<std::size_t>(*number)) : std::nullopt;
}

// The headline domains alone: they do not lie in each other.
Result<study::RankRecording> recording_of(const std::string& path) {
  const auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  if ((*run)->state() != RunState::complete) return fail(ErrorCode::malformed, "this Run is incomplete", path);
  const auto summary = summarise(**run);
  if (!summary) return Unexpected<Error>(summary.error());
  study::RankRecording one;
  one.name = path;
  one.host = summary->fact("machine.hostname");
  one.rank = number_of(summary->fact("rank.global"));
  one.world = number_of(summary->fact("rank.world"));
  const Anchor anchor = (*run)->anchors().empty() ? Anchor{} : (*run)->anchors().front();
  const auto wall = [&](Instant at) {
    return static_cast<double>(anchor.wall_ns + (at.ns - anchor.monotonic.ns)) / 1e9;
  };
  one.begin_s = wall(summary->window.begin);
  one.end_s = wall(summary->window.end);
  for (const EnergyRow& row : summary->energy)
    if (row.ledger.headline && row.ledger.gross)
      one.domains.push_back(
          {row.channel.device + " " + row.channel.domain, row.ledger.gross->value, *row.ledger.gross});
  for (const RequestRow& row : summary->requests) {
    one.tokens += static_cast<double>(row.output_tokens.value_or(0));
    if (end_of(row) != RequestEnd::ok) continue;
    if (row.ttft_s) one.times.ttft_s.push_back(*row.ttft_s);
    if (row.tpot_s) one.times.tpot_s.push_back(*row.tpot_s);
    if (row.e2e_s) one.times.e2e_s.push_back(*row.e2e_s);
  }
  if (summary->headline_j) one.origin = std::string(to_string(summary->headline_origin()));
  one.simulated = summary->simulated;
  return one;
}

// "mean 12.3 ms, p50 …, p90 …"; nothing where no request told it.
std::vector<std::string> pooled_items(const study::RankSum& sum) {
  std::vector<std::string> items;
  const auto add = [&](const char* name, const study::PooledTimes& times) {
    if (!times.mean) return;
    std::string words = std::string(name) + " mean " + figures::seconds(*times.mean);
    for (const auto& [label, value] : {std::pair{"p50", times.p50}, std::pair{"p90", times.p90},
                                       std::pair{"p95", times.p95}, std::pair{"p99", times.p99}})
      if (value) words += std::string(", ") + label + " " + figures::seconds(*value);
    items.push_back(words + " (" + figures::count_of(times.count) + ")");
  };
  add("TTFT", sum.ttft_s);
  add("TPOT", sum.tpot_s);
  add("E2E", sum.e2e_s);
  if (!items.empty()) items.emplace_back("requests of all ranks in one pool");
  return items;
}

}  // namespace

int add_up_ranks(const std::vector<std::string>& runs) {
  std::vector<study::RankRecording> all;
  for (const std::string& path : runs) {
    auto one = recording_of(path);
    if (!one) return failed(one.error());
    all.push_back(std::move(*one));
  }
  const auto sum = study::sum_ranks(all);
  if (!sum) return failed(sum.error());
  const figures::Mark mark = sum->origin == "modelled"  ? figures::Mark::modelled
                             : sum->origin == "derived" ? figures::Mark::derived
                                                        : figures::Mark::unmarked;
  const std::size_t width = terminal_of(STDOUT_FILENO).width;
  const auto line = [&](const char* label, const std::vector<std::string>& items) {
    return layout::labelled(label, items, width, layout::Tone::plain, false);
  };
  std::string text;
  if (!sum->simulated.empty()) text = line("SIMULATED", {printable(sum->simulated, 40) + ": no joule here is real"});
  text += line(
      "ranks",
      {std::to_string(sum->ranks) + " on " + std::to_string(sum->hosts) + (sum->hosts == 1 ? " host" : " hosts"),
       std::to_string(sum->domains) + (sum->domains == 1 ? " domain, metered once" : " domains, each metered once"),
       figures::seconds(sum->wall_s)});
  text +=
      line("energy", {sum->domains > 0 ? figures::joules(sum->bounds, mark) : std::string("no rank told any joules")});
  text += line("tokens", {figures::count(sum->tokens),
                          figures::significant(sum->tokens_per_s, 4) + " tokens/s all ranks together",
                          figures::significant(sum->mean_rank_tokens_per_s, 4) + " tokens/s a rank"});
  text += line("per token", {sum->joules_per_token ? figures::significant(*sum->joules_per_token, 3) + " J" +
                                                         std::string(figures::sign(mark))
                                                   : std::string("no tokens were told, or no joules")});
  if (const auto items = pooled_items(*sum); !items.empty()) text += line("requests", items);
  if (sum->counted_per_rank_j)
    text += line("note", {"ranks read the same meters: added up over ranks it would have been " +
                          figures::significant(*sum->counted_per_rank_j, 4) + " J"});
  for (const std::string& note : sum->notes) text += line("note", {note});
  return print_result(text);
}

}  // namespace prony::app
