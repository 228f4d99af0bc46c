// `prony study --dry-run`, and the words that a study file may hold.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <set>

#include "app/http_engine.hpp"
#include "app/study.hpp"
#include "app/study_needs.hpp"
#include "app/study_runner.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

using Names = std::vector<std::string>;

void option_names(CLI::App& app, Names& keys, Names& repeatable) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) continue;
    keys.push_back(option->get_lnames().front());
    // Of models a list is a choice between them here, not several in one run.
    if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll && keys.back() != "model")
      repeatable.push_back(keys.back());
  }
}

constexpr std::size_t longest_in_order = 30;

// Whether their names, cut as the order shows them, are still told apart.
bool cut_names_differ(const study::Plan& plan) {
  std::set<std::string> seen;
  return std::ranges::all_of(plan.variants, [&](const study::Variant& variant) {
    return seen.insert(printable(variant.name, longest_in_order)).second;
  });
}

std::string hash_number(std::size_t variant) { return "#" + std::to_string(variant + 1); }

std::string order_line(const study::Plan& plan, const std::vector<study::Slot>& slots, std::size_t cycle, bool names) {
  constexpr std::size_t most = 24;
  std::string line;
  std::size_t count = 0;
  for (const study::Slot& slot : slots) {
    if (slot.cycle != cycle && plan.execution.order != study::Order::sequential) continue;
    if (++count > most) break;
    line += (line.empty() ? "" : ", ") +
            (names ? printable(plan.variants[slot.variant].name, longest_in_order) : hash_number(slot.variant));
  }
  return count > most ? line + ", …" : line;
}

struct Pauses {
  std::size_t experiments = 0, cycles = 0;
  std::int64_t ns = 0;
};

Pauses pauses_of(const study::Plan& plan, const std::vector<study::Slot>& slots) {
  Pauses all;
  const study::Execution& e = plan.execution;
  for (std::size_t i = 1; i < slots.size(); ++i) {
    const bool cycle = slots[i].begins_cycle && e.cycle_gap_ns > 0;
    ++(cycle ? all.cycles : all.experiments);
    all.ns += cycle ? e.cycle_gap_ns : e.experiment_gap_ns;
  }
  return all;
}

// How long runs took that are done, of the same plan.
std::optional<double> seconds_a_run(const StudyManifest* before) {
  if (before == nullptr) return std::nullopt;
  double sum = 0;
  std::size_t count = 0;
  for (const StudyRun& run : before->runs)
    if (const StudyAttempt* good = run.good())
      if (const auto at = good->figures.find("run_s"); at != good->figures.end()) {
        sum += at->second;
        ++count;
      }
  return count == 0 ? std::nullopt : std::optional(sum / static_cast<double>(count));
}

std::vector<std::string> time_items(const study::Plan& plan, const StudyManifest* before,
                                    const std::vector<study::Slot>& slots) {
  const Pauses pauses = pauses_of(plan, slots);
  std::size_t left = slots.size();
  if (before != nullptr)
    left = static_cast<std::size_t>(std::ranges::count_if(planned_runs(plan, before->runs),
                                                          [](const StudyRun& run) { return run.good() == nullptr; }));
  std::vector<std::string> items{figures::clock(static_cast<double>(pauses.ns) / 1e9) + " of rests (" +
                                 std::to_string(pauses.experiments) + " between runs, " +
                                 std::to_string(pauses.cycles) + " between cycles)"};
  if (const auto each = seconds_a_run(before))
    items.push_back("about " + figures::clock(*each * static_cast<double>(left)) + " of runs (" + std::to_string(left) +
                    " left, " + figures::seconds(*each) + " each so far, without loading)");
  else
    items.push_back("runs: not known before one has run; at most " +
                    figures::clock(static_cast<double>(plan.execution.timeout_ns) / 1e9) + " each");
  return items;
}

// `number`: "#3 ", where the order names it so; else "".
std::string variant_lines(const study::Plan& plan, const study::Variant& variant, const std::string& number,
                          bool settings) {
  std::string out = "   " + number + printable(variant.name, 60) + "\n";
  std::string varied;
  for (const study::Setting& setting : variant.settings) {
    const std::string value = setting.value.scalar() ? study::word_of(setting.value) : study::canonical(setting.value);
    const std::string shown = setting.value.is(study::Value::Kind::null) ? "(its own)" : printable(value, 60);
    if (settings)
      out += "      " + printable(setting.key, 30) + " = " + shown + "   (" + printable(setting.source, 40) +
             (setting.line > 0 ? ", line " + std::to_string(setting.line) : "") + ")\n";
    else if (std::ranges::find(plan.varied, setting.key) != plan.varied.end())
      varied += (varied.empty() ? "" : " · ") + printable(setting.key, 30) + " " + shown;
  }
  if (!settings && !varied.empty()) out += "      " + varied + "\n";
  if (plan.kind != study::Kind::run) out += "      memory: " + memory_needed(variant) + "\n";
  return out;
}

}  // namespace

study::Vocabulary study_words() {
  study::Vocabulary words;
  {
    CLI::App llm("", "llm"), run("", "run");  // which options there are goes by their names
    const auto keep_llm = add_llm(llm);       // the options write into what these hold
    const auto keep_run = add_run(run);
    option_names(llm, words.llm_keys, words.repeatable);
    option_names(run, words.run_keys, words.repeatable);
  }
  words.engines = {"llama", "transformers"};
  const std::string servers = http_engine_names();  // what is split of it must outlive the loop
  for (const std::string_view name : split(servers, ',')) words.engines.emplace_back(trim(name));
  return words;
}

std::string study_preview(const study::Plan& plan, const StudyManifest* before, bool settings, std::size_t width) {
  const std::vector<study::Slot> slots = plan.slots();
  const study::Execution& e = plan.execution;
  std::string out =
      layout::joined({printable(plan.name, 40), std::string(to_string(plan.kind)),
                      figures::count_of(plan.variants.size()) + (plan.variants.size() == 1 ? " variant" : " variants") +
                          " × " + figures::count_of(e.cycles) + (e.cycles == 1 ? " cycle = " : " cycles = ") +
                          figures::count_of(slots.size()) + (slots.size() == 1 ? " run" : " runs"),
                      std::string(to_string(e.order))},
                     width, 1) +
      "\n";
  constexpr std::size_t most_shown = 60;
  const bool names = cut_names_differ(plan);
  for (std::size_t i = 0; i < plan.variants.size() && (settings || i < most_shown); ++i)
    out += variant_lines(plan, plan.variants[i], names ? "" : hash_number(i) + " ", settings);
  if (!settings && plan.variants.size() > most_shown)
    out += "   … and " + std::to_string(plan.variants.size() - most_shown) + " more (--settings shows all)\n";
  out += "\n";
  const std::size_t cycles = e.order == study::Order::sequential ? 1 : std::min<std::size_t>(e.cycles, 8);
  for (std::size_t cycle = 0; cycle < cycles; ++cycle)
    out += layout::labelled(e.order == study::Order::sequential ? "order" : "cycle " + std::to_string(cycle + 1),
                            {order_line(plan, slots, cycle, names)}, width, layout::Tone::plain, false);
  const std::size_t rows = study::williams_rows(std::min<std::size_t>(plan.variants.size(), 64)).size();
  if (e.order == study::Order::counterbalanced && plan.variants.size() > 1 &&
      (plan.variants.size() > 64 || e.cycles % rows != 0))
    out += layout::labelled(
        "balance",
        {"not whole: " + std::to_string(plan.variants.size()) + " variants are balanced after every " +
         std::to_string(plan.variants.size() % 2 == 0 ? plan.variants.size() : 2 * plan.variants.size()) + " cycles"},
        width, layout::Tone::plain, false);
  out += layout::labelled("time", time_items(plan, before, slots), width, layout::Tone::plain, false);
  if (const std::string hours = study::words_of(e.hours); !hours.empty())
    out += layout::labelled("schedule", {hours + " (local time)"}, width, layout::Tone::plain, false);
  if (e.memory_limit > 0)
    out += layout::labelled(
        "memory", {"a run that needs more than " + figures::bytes(static_cast<double>(e.memory_limit)) + " is ended"},
        width, layout::Tone::plain, false);
  for (const study::EqualVariants& group : plan.equal) {
    std::string dropped;
    for (const std::string& name : group.dropped) dropped += (dropped.empty() ? "" : ", ") + printable(name, 40);
    out += layout::labelled(
        "equal",
        {dropped +
         (e.deduplicate ? (group.dropped.size() == 1 ? " means the same as " : " mean the same as ")
                        : (group.dropped.size() == 1 ? " runs again, the same as " : " run again, the same as ")) +
         printable(group.kept, 40) + (group.why.empty() ? "" : " (" + group.why + ")")},
        width, layout::Tone::plain, false);
  }
  constexpr std::size_t many = 2000;
  if (slots.size() > many)
    out += layout::labelled(
        "size", {"more than " + std::to_string(many) + " runs: mode = \"one-factor\" varies one axis at a time"}, width,
        layout::Tone::warning, false);
  return out;
}

}  // namespace prony::app
