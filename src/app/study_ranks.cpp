#include "app/study_ranks.hpp"

#include <unistd.h>

#include "app/common.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"
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
      one.domains.push_back({row.channel.device + " " + row.channel.domain, row.ledger.gross->value});
  for (const RequestRow& row : summary->requests) one.tokens += static_cast<double>(row.output_tokens.value_or(0));
  if (summary->headline_j) one.origin = std::string(to_string(summary->headline_origin()));
  return one;
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
  const std::string mark = sum->origin == "modelled" ? " ~" : sum->origin == "derived" ? " ≈" : "";
  const std::size_t width = terminal_of(STDOUT_FILENO).width;
  const auto line = [&](const char* label, const std::vector<std::string>& items) {
    return layout::labelled(label, items, width, layout::Tone::plain, false);
  };
  std::string text = line(
      "ranks",
      {std::to_string(sum->ranks) + " on " + std::to_string(sum->hosts) + (sum->hosts == 1 ? " host" : " hosts"),
       std::to_string(sum->domains) + (sum->domains == 1 ? " domain, metered once" : " domains, each metered once"),
       figures::seconds(sum->wall_s)});
  text += line("energy", {figures::significant(sum->joules, 4) + " J" + mark});
  text += line("tokens", {figures::count(sum->tokens),
                          figures::significant(sum->tokens_per_s, 4) + " tokens/s all ranks together",
                          figures::significant(sum->mean_rank_tokens_per_s, 4) + " tokens/s a rank"});
  text += line("per token", {sum->joules_per_token ? figures::significant(*sum->joules_per_token, 3) + " J" + mark
                                                   : std::string("no tokens were told")});
  if (sum->counted_per_rank_j)
    text += line("note", {"ranks read the same meters: added up over ranks it would have been " +
                          figures::significant(*sum->counted_per_rank_j, 4) + " J"});
  for (const std::string& note : sum->notes) text += line("note", {note});
  return print_result(text);
}

}  // namespace prony::app
