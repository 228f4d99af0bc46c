#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"
#include "reports/was_read.hpp"

namespace prony::text {

namespace {

using figures::joules_or_none;
using figures::none;

// Rows in the order in which they are shown: wholes before their parts.
class Tree {
 public:
  explicit Tree(const Summary& summary) {
    std::set<std::string> names;
    for (const EnergyRow& row : summary.energy) names.insert(row.channel.name);
    std::vector<const EnergyRow*> wholes;
    for (const EnergyRow& row : summary.energy) {
      if (row.part_of && names.contains(*row.part_of))
        parts_[*row.part_of].push_back(&row);
      else
        wholes.push_back(&row);
    }
    for (const EnergyRow* row : wholes) place(*row, 0);
    for (const EnergyRow& row : summary.energy) place(row, 0);  // parts of one another in a circle: a damaged file
  }
  [[nodiscard]] const std::vector<std::pair<const EnergyRow*, std::size_t>>& rows() const { return rows_; }

 private:
  void place(const EnergyRow& row, std::size_t depth) {
    constexpr std::size_t deepest_indent = 8;
    if (!placed_.insert(&row).second) return;
    rows_.emplace_back(&row, depth);
    for (const EnergyRow* part : parts_[row.channel.name]) place(*part, std::min(depth + 1, deepest_indent));
  }
  std::map<std::string, std::vector<const EnergyRow*>> parts_;
  std::set<const EnergyRow*> placed_;
  std::vector<std::pair<const EnergyRow*, std::size_t>> rows_;
};

// Where a figure comes from, in the fewest words: "measured, rapl, bound", "modelled, range".
std::string source_of(const EnergyRow& row) {
  std::string words = std::string(to_string(row.channel.origin)) + ", " + row.channel.sensor;
  if (row.ledger.gross) words += ", " + std::string(to_string(row.ledger.gross->kind));
  if (!row.channel.coverage_known) words += ", coverage unknown";
  return words;
}

// The parts of what cannot be told cannot be told either.
ChannelLedger tellable(ChannelLedger ledger) {
  if (ledger.gross) return ledger;
  ledger.idle = ledger.active = ledger.target = ledger.target_active = ledger.foreign = ledger.prony = std::nullopt;
  ledger.target_share.reset();
  return ledger;
}

std::string power(const std::optional<double>& watts, figures::Mark mark) {
  return watts ? figures::watts(*watts) + std::string(figures::sign(mark)) : std::string(none);
}

// What of the energy that was split by CPU time went to programs other than this one and Prony; 0 where not split.
double others_share(const Summary& s) {
  const auto target = headline_party(s, &ChannelLedger::target);
  const auto foreign = headline_party(s, &ChannelLedger::foreign);
  const auto own = headline_party(s, &ChannelLedger::prony);
  if (!target || !foreign) return 0;
  const double sum = target->value + foreign->value + (own ? own->value : 0);
  return sum > 0 ? foreign->value / sum : 0;
}

bool was_split(const ChannelLedger& ledger) {
  return ledger.headline && ledger.gross && ledger.target && ledger.foreign;
}

double charged_to_nobody(const ChannelLedger& ledger) {
  double rest = ledger.gross->value;
  for (const auto* party : {&ledger.target, &ledger.foreign, &ledger.prony, &ledger.idle})
    if (*party) rest -= (*party)->value;
  return rest;
}

}  // namespace

std::string truth(const std::optional<double>& joules) {
  return joules ? figures::significant(*joules, 5) + " J" : std::string();
}

std::vector<std::string> simulation_words(const Summary& summary) {
  if (summary.simulated.empty()) return {};
  std::vector<std::string> words{printable(summary.simulated, 40) + ": no joule here is real"};
  if (const auto fault = summary.fact("simulated.fault"); !fault.empty())
    words.push_back("fault " + printable(fault, 60));
  std::size_t known = 0, inside = 0;
  std::string outside;
  for (const EnergyRow& row : summary.energy) {
    if (!row.true_j || !row.ledger.gross) continue;
    ++known;
    if (row.ledger.gross->low <= *row.true_j && *row.true_j <= row.ledger.gross->high) {
      ++inside;
    } else {
      outside += (outside.empty() ? "" : ", ") + domain_name(summary, row);
    }
  }
  if (known > 0)
    words.push_back("the truth is inside low…high for " + std::to_string(inside) + " of " + std::to_string(known) +
                    (known == 1 ? " domain" : " domains"));
  if (!outside.empty()) words.push_back("outside: " + outside);
  return words;
}

// Clocks above the reference change nothing at the middle and the high end: "of" would say more than is so.
std::string model_clock_words(const EnergyRow& row) {
  if (!row.ledger.clock) return "clocks do not enter, so it is wider";
  const ModelClock& clock = *row.ledger.clock;
  const bool below = clock.mean_hz < clock.reference_hz;
  // Not the mean over time that the conditions show: an idle CPU's clock bears on no joule.
  return "at " + figures::hertz(clock.mean_hz) + " by load" + (below ? " of " : ", above ") +
         figures::hertz(clock.reference_hz);
}

figures::Mark mark_of(const Channel& channel) {
  if (channel.origin == Origin::modelled) return figures::Mark::modelled;
  return channel.model ? figures::Mark::derived : figures::Mark::unmarked;
}

std::string domain_name(const Summary& summary, const EnergyRow& row) {
  const auto same = std::count_if(summary.energy.begin(), summary.energy.end(),
                                  [&](const EnergyRow& other) { return other.channel.domain == row.channel.domain; });
  return row.channel.domain.empty() || same > 1 ? row.channel.name : row.channel.domain;
}

std::optional<Estimate> headline_party(const Summary& summary, std::optional<Estimate> ChannelLedger::* party) {
  std::optional<Estimate> sum;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    const auto& part = row.ledger.*party;
    if (!part || !row.ledger.gross) return std::nullopt;  // the parts of what cannot be told cannot be told either
    sum = sum ? *sum + *part : *part;
  }
  return sum;
}

Part energy_table(const Summary& summary, const TextOptions& options) {
  const auto& rows = summary.energy;
  const bool baseline =
      std::any_of(rows.begin(), rows.end(), [](const EnergyRow& r) { return r.ledger.active.has_value(); });
  const std::string whose = !summary.targets.empty() ? "all targets" : baseline ? "program's" : "this program";
  layout::TextTable table;
  table.columns = {{"domain", false, 0, 9},
                   {"gross", true, 0, 0},
                   {summary.simulated.empty() ? "" : "truth", true, 0, 0},
                   {baseline ? "idle" : "", true, 5, 0},
                   {baseline ? "active" : "", true, 3, 0},
                   {whose + (baseline ? " active" : ""), true, 1, 0},
                   {"share", true, 2, 0},
                   {"others", true, 7, 0},
                   {"mean", true, 4, 0},
                   {"peak", true, 6, 0},
                   {"source", false, 8, 0}};
  const auto truth_cell = [&](const std::optional<double>& joules) {
    return !joules && !summary.simulated.empty() ? std::string(none) : truth(joules);
  };
  const Tree tree(summary);
  for (const auto& [row, depth] : tree.rows()) {
    const ChannelLedger l = tellable(row->ledger);
    const figures::Mark mark = mark_of(row->channel);
    const std::string indent = depth == 0 ? "" : std::string(2 * (depth - 1), ' ') + "└ ";
    table.rows.push_back(
        {indent + domain_name(summary, *row) + std::string(figures::sign(mark)), joules_or_none(l.gross, mark),
         truth_cell(row->true_j), baseline ? joules_or_none(l.idle, mark) : "",
         baseline ? joules_or_none(l.active, mark) : "", joules_or_none(baseline ? l.target_active : l.target, mark),
         l.target_share ? figures::percent(*l.target_share) : std::string(none), joules_or_none(l.foreign, mark),
         power(l.mean_w, mark), power(l.peak_w, mark), source_of(*row)});
  }
  const auto heads = std::count_if(rows.begin(), rows.end(), [](const EnergyRow& r) { return r.ledger.headline; });
  if (heads > 1 && summary.headline_j) {
    std::vector<std::string> sum(table.columns.size());
    sum[0] = "sum of " + std::to_string(heads);
    sum[1] = joules_or_none(summary.headline_j, summary.headline_mark());
    sum[2] = truth_cell(summary.headline_true_j);
    if (baseline) {
      sum[3] = joules_or_none(headline_party(summary, &ChannelLedger::idle), summary.headline_mark());
      sum[4] = joules_or_none(headline_party(summary, &ChannelLedger::active), summary.headline_mark());
    }
    sum[7] = joules_or_none(headline_party(summary, &ChannelLedger::foreign), summary.headline_mark());
    sum[5] = joules_or_none(headline_party(summary, baseline ? &ChannelLedger::target_active : &ChannelLedger::target),
                            summary.headline_mark());
    table.rows.push_back(std::move(sum));
    table.tones.assign(table.rows.size(), layout::Tone::plain);
    table.tones.back() = layout::Tone::strong;
  }
  Part part;
  if (!table.rows.empty()) part.text = table.render(options.width, options.colour, part.left_out);
  return part;
}

std::vector<std::string> sources(const Summary& summary) {
  std::vector<std::pair<std::string, std::string>> by_source;  // in order of first appearance
  for (const EnergyRow& row : summary.energy) {
    const std::string source = source_of(row);
    auto found = std::find_if(by_source.begin(), by_source.end(), [&](const auto& s) { return s.first == source; });
    if (found == by_source.end()) {
      by_source.emplace_back(source, domain_name(summary, row));
    } else {
      found->second += ", " + domain_name(summary, row);
    }
  }
  std::vector<std::string> out;
  for (const auto& [source, domains] : by_source) out.push_back(domains + ": " + source);
  return out;
}

std::vector<std::string> unresolvable(const Summary& summary) {
  std::vector<std::pair<std::string, std::string>> alike;  // domains, why
  for (const EnergyRow& row : summary.energy) {
    if (row.ledger.resolvable) continue;
    std::string why = "the window is too short for this sensor";
    for (const auto& [field, reason] : row.ledger.absent)
      if (field == "gross") why = reason;
    if (row.ledger.needed_s) why += "; it takes at least " + figures::seconds(*row.ledger.needed_s);
    const auto same = std::ranges::find(alike, why, &std::pair<std::string, std::string>::second);
    if (same == alike.end())
      alike.emplace_back(domain_name(summary, row), why);
    else
      same->first += ", " + domain_name(summary, row);
  }
  std::vector<std::string> out;
  out.reserve(alike.size());
  for (const auto& [domains, why] : alike) out.push_back(domains + ": " + why);
  constexpr std::size_t most = 8;  // on a machine with thousands of channels nobody reads a line of each
  if (out.size() > most + 1) {
    const std::size_t more = out.size() - most;
    out.resize(most);
    out.push_back("and " + std::to_string(more) + " more (`prony show --json` names them)");
  }
  std::size_t count = 0;
  std::vector<double> needed;
  for (const RequestRow& row : summary.requests) {
    if (row.headline.resolvable || stamped_without_waiting(row)) continue;
    ++count;
    if (row.headline.needed_s) needed.push_back(*row.headline.needed_s);
  }
  // Of a total without bounds no length would give a prompt its joules; why is said above.
  bool totals_alone = false, bounded = false;
  for (const EnergyRow& row : summary.energy)
    if (row.ledger.headline) (is_bounded(row.ledger) ? bounded : totals_alone) = true;
  totals_alone = totals_alone && !bounded;
  if (count > 0 && !totals_alone) {
    std::string line =
        std::to_string(count) + " of " + std::to_string(summary.requests.size()) + " prompts: too short for the sensor";
    if (!needed.empty()) {
      std::ranges::sort(needed);
      const double middle = needed[needed.size() / 2], longest = needed.back();  // those that drew little need longest
      line += "; a prompt would have to last " + figures::seconds(longest);
      if (longest > 2 * middle) line += ", half of them " + figures::seconds(middle);
      line += " (try a larger --max-tokens)";
    }
    out.push_back(line);
  }
  return out;
}

std::optional<double> others_to_warn_of(const Summary& s) {
  const double others = s.cpu && s.cpu->foreign_share ? *s.cpu->foreign_share : others_share(s);
  return others > 0.10 && s.simulated.empty() ? std::optional(others) : std::nullopt;
}

std::string unattributed_words(const Summary& summary) {
  constexpr double worth_a_word = 0.01;
  if (!summary.targets.empty()) return {};
  std::optional<Estimate> gross;
  double rest = 0;
  std::vector<std::string> domains;
  for (const EnergyRow& row : summary.energy) {
    if (!was_split(row.ledger)) continue;
    const double of_row = charged_to_nobody(row.ledger);
    gross = gross ? *gross + *row.ledger.gross : *row.ledger.gross;
    rest += of_row;
    if (of_row > worth_a_word * row.ledger.gross->value) domains.push_back(printable(domain_name(summary, row), 40));
  }
  if (domains.empty() || gross->value <= 0 || rest <= worth_a_word * gross->value) return {};
  const double share = rest / gross->value;
  const Estimate joules{rest, share * gross->low, share * gross->high, gross->kind};
  return "unattributed " + figures::joules_alone(joules, summary.headline_mark()) + " (" + figures::percent(share) +
         " of gross), of " + name_runs(domains);
}

std::string name_runs(const std::vector<std::string>& names) {
  const auto number_of = [](const std::string& name) {
    const auto digits = name.find_last_not_of("0123456789") + 1;
    return std::pair(name.substr(0, digits), parse_u64(name.substr(digits)));
  };
  std::string out;
  for (std::size_t i = 0, next = 0; i < names.size(); i = next) {
    const auto [stem, first] = number_of(names[i]);
    for (next = i + 1; first && next < names.size(); ++next)
      if (number_of(names[next]) != std::pair(stem, std::optional(*first + (next - i)))) break;
    if (next - i < 3) next = i + 1;
    out += (out.empty() ? "" : ", ") + names[i] + (next > i + 1 ? "…" + names[next - 1] : std::string());
  }
  return out;
}

}  // namespace prony::text
