#include "reports/summary_text.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/interval_change.hpp"
#include "reports/calibrated.hpp"
#include "reports/comparison.hpp"
#include "reports/engine_tokens.hpp"
#include "reports/figures.hpp"
#include "reports/footprint.hpp"
#include "reports/merged.hpp"
#include "reports/nominal_work.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/request_energy.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"
#include "reports/utilisation.hpp"
#include "reports/was_read.hpp"

namespace prony {

namespace {

using Items = std::vector<std::string>;
using layout::Tone;

// An untrusted word (a name from a file, a command line): no control characters, not endless.
std::string safe(std::string_view text, std::size_t columns = 80) { return printable(text, columns); }

// Single quotes where the shell would need them, so that the printed command can be pasted.
std::string shell_word(const std::string& text) {
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80 ||
           std::string_view("._-/+:,=@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string warnings(const Summary& s, const TextOptions& o) {
  std::string out;
  const auto warn = [&](const std::string& text) {
    out += layout::labelled("WARNING", {text}, o.width, Tone::warning, o.colour);
  };
  if (s.state == RunState::interrupted)
    warn("interrupted: recording stopped before the end; what follows is what was recorded until then");
  if (s.state == RunState::recording) warn("still being recorded: figures are provisional");
  constexpr std::size_t most_named = 20;
  std::size_t bad = 0;
  for (std::size_t i = 0; i < s.requests.size(); ++i) {
    const RequestRow& row = s.requests[i];
    if (row.span.status != SpanStatus::ok || row.finish == "error") ++bad;
    if (bad > most_named) continue;
    const std::string name = "prompt " + std::to_string(i + 1) + " (" + safe(row.span.name, 40) + ")";
    const bool failed = row.span.status == SpanStatus::failed || row.finish == "error";
    if (failed) warn(name + " failed: its tokens and times are not a complete answer's");
    if (row.span.status == SpanStatus::unfinished) warn(name + " was begun and never ended");
  }
  if (bad > most_named)
    warn(figures::count(static_cast<double>(bad - most_named)) + " more prompts failed or never ended");
  for (const std::string& words : length_warnings(s)) warn(words);
  for (const std::string& words : pieces_warnings(s)) warn(words);
  if (const std::string words = context_warning(s); !words.empty()) warn(words);
  for (const TargetRow& row : s.targets)
    if (!row.relay.empty())
      warn("who listens on that port is " + row.relay + ", which passes requests on to a server: " +
           "joules of requests are the relay's alone; ask the server itself, or record where it runs and put " +
           "both Runs together with `prony merge`");
  for (const Event& event : s.events)
    if (event.kind != "note" && event.kind != "spans-lost" && event.kind != "ticks-dropped" &&
        event.kind != interval_changed && !event.kind.starts_with("sampling-") && !event.kind.starts_with("target-") &&
        !text::is_state_change(event))
      warn(event.kind == "workload-failed"
               ? safe(event.text, 200)
               : event.kind + ": " + safe(event.subject, 60) + ": " + safe(event.text, 200));
  for (const EnergyRow& row : s.energy) {
    const ChannelLedger& l = row.ledger;
    if (l.headline && l.idle_drifted)
      warn("idle drifted: " + text::domain_name(s, row) + " drew " + figures::watts(*l.idle_before_w) + " before and " +
           figures::watts(*l.idle_after_w) + " after: active is known no better than that; let it settle and repeat");
  }
  constexpr double mostly_idle = 0.7;  // of gross: from there on active is the small difference of two large figures
  for (const EnergyRow& row : s.energy) {
    const ChannelLedger& l = row.ledger;
    if (!l.headline || !l.gross || !l.idle || !l.active || l.gross->value <= 0) continue;
    if (l.idle->value >= mostly_idle * l.gross->value)
      warn("idle is " + figures::percent(l.idle->value / l.gross->value) + " of what " + text::domain_name(s, row) +
           " drew: active (" + figures::joules(*l.active, text::mark_of(row.channel)) +
           ") is what the baseline leaves; work for longer, or measure a longer baseline");
  }
  const bool by_time = s.cpu && s.cpu->foreign_share;
  if (const auto others = text::others_to_warn_of(s))
    warn("others " + std::string(by_time ? "used " : "took ") + figures::percent(*others) +
         (by_time ? " of the CPU time" : " of the CPU-split energy") + ": close them and measure again, or read " +
         (s.kind == "llm"      ? "what is charged to a prompt and not its energy"
          : !s.targets.empty() ? "what each target is charged and not gross"
                               : "this program's share and not gross"));
  if (s.spans_lost > 0)
    warn(figures::count(static_cast<double>(s.spans_lost)) +
         " spans were lost (the program wrote faster than they were taken): per-prompt figures are incomplete");
  return out;
}

// One line per headline domain: what a prompt's joules are a part of.
std::string machine_lines(const Summary& s, const TextOptions& o) {
  std::string out;
  for (const EnergyRow& row : s.energy) {
    const ChannelLedger& l = row.ledger;
    if (!l.headline) continue;
    const figures::Mark mark = text::mark_of(row.channel);
    const std::string sign(figures::sign(mark));
    Items items{text::domain_name(s, row) + (mark == figures::Mark::unmarked
                                                 ? " (" + row.channel.sensor + ")"
                                                 : " (" + std::string(to_string(row.channel.origin)) + sign + ")")};
    if (l.gross) items.push_back("gross " + figures::joules(*l.gross, mark));
    if (!l.gross && !is_bounded(l))
      items.push_back("recorded " + figures::significant(l.recorded.value, 4) + " J" + sign + ", no bounds told");
    if (row.true_j) items.push_back("truth " + text::truth(row.true_j));
    if (l.gross && l.idle) items.push_back("idle " + figures::joules_alone(*l.idle, mark));
    if (l.gross && l.target) items.push_back("this program " + figures::joules_alone(*l.target, mark));
    if (l.gross && l.foreign) items.push_back("others " + figures::joules_alone(*l.foreign, mark));
    if (l.gross && l.prony) items.push_back("Prony " + figures::joules_alone(*l.prony, mark));
    if (l.mean_w) items.push_back("mean " + figures::watts(*l.mean_w) + sign);
    if (l.peak_w)
      items.push_back("peak " + figures::watts(*l.peak_w) + sign + " over " +
                      figures::seconds(l.peak_over.seconds().value()));
    out += layout::labelled(out.empty() ? "machine" : "", items, o.width, Tone::plain, o.colour);
  }
  return out;
}

// How near the headline is in 95 % of cases, where that is much nearer than its bound. Doubts of domains add up.
std::string interval_words(const Summary& s) {
  double half_bound = 0, half_interval = 0, value = 0;
  for (const EnergyRow& row : s.energy) {
    if (!row.ledger.headline) continue;
    if (!row.ledger.gross || !row.ledger.interval) return {};
    value += row.ledger.gross->value;
    half_bound += (row.ledger.gross->high - row.ledger.gross->low) / 2;
    half_interval += (row.ledger.interval->high - row.ledger.interval->low) / 2;
  }
  if (half_bound <= 1e-3 * value || half_interval * 2 > half_bound) return {};
  return "in 95 % of cases the whole is within " +
         figures::joules({value, value - half_interval, value + half_interval, EstimateKind::interval_95},
                         figures::Mark::unmarked);
}

// What the signs promise that stand in the tables: of each kind that is there. Gross can be a bound where the parts of
// it, which rest on a baseline and on shares of CPU time, cannot.
Items doubt_words(const Summary& s) {
  bool bound = false, interval = false, parts_weaker = false, range = false;
  std::string clock;
  for (const EnergyRow& row : s.energy) {
    const ChannelLedger& l = row.ledger;
    if (!l.gross) continue;
    bound = bound || l.gross->kind == EstimateKind::bound;
    interval = interval || l.gross->kind == EstimateKind::interval_95;
    range = range || l.gross->kind == EstimateKind::range;
    if (row.channel.model) clock = ", " + text::model_clock_words(row);
    for (const auto* part : {&l.target, &l.foreign, &l.idle, &l.active, &l.target_active})
      parts_weaker = parts_weaker || (*part && (*part)->kind != l.gross->kind);
  }
  Items items;
  if (bound && !interval)
    items.push_back(parts_weaker
                        ? "± of gross is a bound, of its parts an interval (95 % of what edges and baseline leave open)"
                        : "± is a bound: the sensor's readings exclude anything outside it");
  if (const auto words = interval_words(s); !words.empty()) items.push_back(words);
  if (interval) items.push_back("± covers the truth in 95 % of cases");
  if (range) items.push_back("(low…high) is the range of the power model: no coverage claimed" + clock);
  return items;
}

// Prony's CPU time includes its start and end: of a shorter command they are most, and the share would be of nothing.
constexpr double least_wall_for_share = 0.5;

std::string own_cost(const Summary& s, const TextOptions& o) {
  Items items;
  if (const auto own = text::headline_party(s, &ChannelLedger::prony))
    items.push_back(figures::joules_alone(*own, s.headline_mark()));
  if (const auto cpu = s.prony_total("cpu_s")) {
    std::string words = figures::seconds(*cpu) + " CPU";
    if (s.wall_s && *s.wall_s >= least_wall_for_share)
      words += " (" + figures::percent(*cpu / *s.wall_s) + " of a core)";
    items.push_back(words);
  }
  if (const auto peak = s.prony_total("rss_peak_bytes")) items.push_back("peak " + figures::bytes(*peak));
  return layout::labelled("Prony itself", items, o.width, Tone::plain, o.colour);
}

std::string why_no_active(const Summary& s) {
  for (const EnergyRow& row : s.energy)
    for (const auto& [field, reason] : row.ledger.absent)
      if (row.ledger.headline && field.starts_with("active")) return reason;
  return "no baseline (measure one with --baseline 3s)";
}

std::string energy_notes(const Summary& s, const TextOptions& o) {
  std::string out;
  const auto line = [&](const char* label, const Items& items) {
    out += layout::labelled(label, items, o.width, Tone::plain, o.colour);
  };
  const Items too_short = text::unresolvable(s);
  for (std::size_t i = 0; i < too_short.size(); ++i) line(i == 0 ? "not resolvable" : "", {too_short[i]});
  Items doubt;
  const bool any_sensor = std::ranges::any_of(s.energy, [](const EnergyRow& row) { return !row.channel.model; });
  if (s.headline_modelled && !s.energy.empty())
    doubt.push_back(any_sensor ? "~ modelled: no sensor here measured the energy, see `prony sensors`"
                               : "~ modelled: no energy sensor, see `prony doctor`");
  for (const EnergyRow& row : s.energy)
    if (row.ledger.headline && text::mark_of(row.channel) == figures::Mark::derived)
      doubt.push_back("≈ derived: CPU time × a model, " + safe(row.channel.model->name, 120));
  for (const std::string& words : doubt_words(s)) doubt.push_back(words);
  line("doubt", doubt);
  Items split;
  if (s.cpu && s.cpu->foreign_s > 0 && s.cpu->foreign_share)
    split.push_back("others used " + figures::percent(*s.cpu->foreign_share) + " of the CPU time");
  if (!s.cpu_split.empty() && !s.energy.empty()) {
    split.push_back(safe(s.cpu_split, 300));
    const bool shares = std::any_of(s.energy.begin(), s.energy.end(),
                                    [](const auto& r) { return r.ledger.gross && r.ledger.target_share.has_value(); });
    if (shares && s.kind != "llm") split.push_back("share: of what was split");
  }
  const bool baseline =
      std::any_of(s.energy.begin(), s.energy.end(), [](const auto& r) { return r.ledger.active.has_value(); });
  if (std::string words = text::unattributed_words(s); !words.empty()) split.push_back(std::move(words));
  if (!baseline && !s.energy.empty()) split.push_back("idle, active absent: " + why_no_active(s));
  line("split", split);
  return out;
}

// Where the figures come from and what did not fit: what few readers look for.
std::string table_notes(const Summary& s, const TextOptions& o, const Items& left_out) {
  std::string out;
  Items columns;
  for (const std::string& name : left_out) {
    if (name == "source") {
      out += layout::labelled("source", text::sources(s), o.width, Tone::plain, o.colour);
    } else {
      columns.push_back(columns.empty() ? "not shown at this width: " + name : name);
    }
  }
  return out + layout::labelled("columns", columns, o.width, Tone::plain, o.colour);
}

std::string saved(const Summary& s, const TextOptions& o) {
  const std::string path = shell_word(printable(s.path, 400));
  const std::string table = s.kind == "llm" ? "requests" : "samples";
  return layout::labelled("saved", {"`prony show " + path + "`", "`prony export … --format csv --table " + table + "`"},
                          o.width, Tone::plain, o.colour);
}

std::string targets_part(const Summary& s, const TextOptions& o) {
  if (s.targets.empty()) return {};
  std::string out = text::targets_table(s, o).text;
  const Items notes = text::target_notes(s);
  for (std::size_t i = 0; i < notes.size(); ++i)
    out += layout::labelled(i == 0 ? "targets" : "", {notes[i]}, o.width, Tone::plain, o.colour);
  if (const auto processes = text::processes_table(s, o); !processes.text.empty()) out += "\n" + processes.text;
  return out + "\n";
}

std::string request_lines(const Summary& s, const TextOptions& o) {
  if (s.requests.empty()) return {};
  const RequestEnergy energy = request_energy(s);
  std::string out;
  const auto line = [&](const char* label, const Items& items) {
    out += layout::labelled(label, items, o.width, Tone::plain, o.colour);
  };
  line("efficiency", efficiency_words(s, energy));
  line("at once", sharing_words(s));
  line("wasted", waste_words(s, energy));
  line("model", lifecycle_words(s, energy));
  line("utilisation", utilisation_words(s));
  line("CPU work", nominal_work_words(s));
  return out;
}

}  // namespace

std::string to_text(const Summary& s, const TextOptions& given) {
  TextOptions o = given;
  o.width = std::max<std::size_t>(o.width, 40);
  // The empty line parts the summary from what the command itself printed.
  std::string out = "\n" + text::headline(s, o);
  out += layout::labelled("SIMULATED", text::simulation_words(s), o.width, Tone::warning, o.colour) + warnings(s, o) +
         "\n";
  const bool llm = s.kind == "llm";
  const bool has_table = llm ? !s.requests.empty() : !s.energy.empty();
  const text::Part table = !has_table ? text::Part{} : llm ? text::requests_table(s, o) : text::energy_table(s, o);
  if (has_table) out += table.text + "\n";
  out += text::load_part(s, o);
  if (llm) out += models_table(s, o.width, o.colour);
  out += targets_part(s, o);
  if (llm) {
    if (s.requests.empty())
      out += layout::labelled("prompts", {"none were recorded"}, o.width, Tone::warning, o.colour);
    out += layout::labelled("where it went", text::where_it_went(s), o.width, Tone::plain, o.colour);
    out += machine_lines(s, o);
    Items usage = text::usage_items(s);
    usage.insert(usage.begin(), text::exit_words(s));
    out += layout::labelled("worker", usage, o.width, Tone::plain, o.colour);
    out += layout::labelled("lengths", length_items(s), o.width, Tone::plain, o.colour);
    out += layout::labelled("loops", loop_items(s), o.width, Tone::plain, o.colour);
    out += layout::labelled("cancelled", cancel_items(s), o.width, Tone::plain, o.colour);
    out += layout::labelled("conversations", conversation_items(s), o.width, Tone::plain, o.colour);
    out += layout::labelled("intrusion", intrusion_items(s), o.width, Tone::plain, o.colour);
    out += request_lines(s, o);
    if (!s.requests.empty())
      out += layout::labelled("repeatable?", text::repeatability(s), o.width, Tone::plain, o.colour);
  }
  out += energy_notes(s, o) + text::conditions(s, o) + text::input_output(s, o);
  const bool all_of_it = std::ranges::any_of(
      s.energy, [](const EnergyRow& row) { return row.ledger.headline && row.channel.domain == "wall"; });
  if (!s.headline_modelled && !all_of_it && s.headline_j)
    out += layout::labelled("not visible", {"what no domain above covers (disks, fans, losses of the power supply)"},
                            o.width, Tone::plain, o.colour);
  out += layout::labelled("merged", merged_words(s), o.width, Tone::plain, o.colour);
  const Items engines = engine_words(s), proxied = proxied_words(s);
  for (std::size_t i = 0; i < engines.size(); ++i)
    out += layout::labelled(i == 0 ? "server's count" : "", {engines[i]}, o.width, Tone::plain, o.colour);
  for (std::size_t i = 0; i < proxied.size(); ++i)
    out += layout::labelled(i == 0 ? "requests" : "", {proxied[i]}, o.width, Tone::plain, o.colour);
  out += layout::labelled("baseline", baseline_words(s), o.width, Tone::plain, o.colour);
  out += layout::labelled("side by side", comparison_words(s), o.width, Tone::plain, o.colour);
  out += layout::labelled("calibrated", calibrated_words(s), o.width, Tone::plain, o.colour);
  out += layout::labelled("footprint", footprint_words(s), o.width, Tone::plain, o.colour);
  if (const std::string steady = s.fact("warmup.steady"); steady.starts_with("no"))
    out += layout::labelled("warm-up", {"not steady after " + safe(s.fact("warmup.prompts"), 20) + " prompts"}, o.width,
                            Tone::warning, o.colour);
  return out + own_cost(s, o) + text::remedies(s, o) + table_notes(s, o, table.left_out) + saved(s, o);
}

std::string settings_text(const Summary& s, const TextOptions& o) {
  layout::TextTable table;
  table.columns = {{"setting", false, 0, 0}, {"value", false, 0, 12}, {"from", false, 0, 0}};
  constexpr std::string_view prefix = "setting.";
  for (const Fact& fact : s.manifest.facts)
    if (fact.key.starts_with(prefix))
      table.rows.push_back({safe(fact.key.substr(prefix.size()), 40), safe(fact.value, 400), safe(fact.origin, 40)});
  if (table.rows.empty()) return " no settings were recorded in this Run\n";
  Items left_out;
  return table.render(std::max<std::size_t>(o.width, 40), o.colour, left_out);
}

}  // namespace prony
