// `prony compare A B…`: variants laid side by side, each a Run or a folder of Runs (cycles): what changed, how sure
// that is, and for CI whether it is more than may be (`--fail-if`).
#include "app/compare.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "app/common.hpp"
#include "app/compare_study.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "compare/comparison_text.hpp"
#include "compare/merit.hpp"
#include "reports/summary.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;

constexpr int condition_holds = 1, cannot_tell = 2;
constexpr std::size_t most_runs = 1000;

struct CompareWords {
  std::vector<std::string> paths, conditions;
  bool paired = false, unpaired = false, any_origin = false, json = false, merit = false;
  std::string merit_weights = "1,1,1,1";
  double words_per_s = 3;
  std::string undecided = "code";
};

// The Run itself, or all *.prony of a folder, by name.
Result<std::vector<fs::path>> runs_at(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return std::vector<fs::path>{path};
  std::vector<fs::path> all;
  for (fs::directory_iterator it(path, failed), end; !failed && it != end; it.increment(failed))
    if (it->path().extension() == ".prony") all.push_back(it->path());
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), path, "cannot read the folder"));
  if (all.empty())
    return fail(ErrorCode::absent, "no Run (*.prony) is in the folder", path, "Name a Run, or its folder.");
  if (all.size() > most_runs) return fail(ErrorCode::usage, "more than 1000 Runs in the folder", path);
  std::ranges::sort(all);
  return all;
}

Result<compare::Variant> variant_of(const std::string& name, const std::vector<fs::path>& files,
                                    std::set<std::string>& known) {
  compare::Variant variant{name, {}};
  for (const fs::path& file : files) {
    std::error_code ignored;
    const fs::path canonical = fs::weakly_canonical(file, ignored);
    if (!known.insert(canonical.empty() ? file.string() : canonical.string()).second)
      return fail(ErrorCode::usage, "the same Run is named twice", file.string(), "A Run does not differ from itself.");
    const auto run = Run::open(file);
    if (!run) return Unexpected<Error>(run.error());
    if ((*run)->state() == RunState::recording)
      return fail(ErrorCode::usage, "this Run is still being recorded", file.string(), "Wait for its end.");
    const auto summary = summarise(**run);
    if (!summary) return Unexpected<Error>(summary.error());
    variant.runs.push_back(compare::figures_of_run(*summary));
  }
  return variant;
}

// A study is all of its variants; those without a run that counts are left out, which is said. `left_out`: how many.
Result<void> add_variants(const std::string& path, bool alone, std::set<std::string>& known,
                          std::vector<compare::Variant>& variants, std::size_t& left_out) {
  if (!names_study(path)) {
    const auto files = runs_at(path);
    if (!files) return Unexpected<Error>(files.error());
    auto variant = variant_of(path, *files, known);
    if (!variant) return Unexpected<Error>(variant.error());
    variants.push_back(std::move(*variant));
    return {};
  }
  const auto sides = sides_of_study(path);
  if (!sides) return Unexpected<Error>(sides.error());
  for (const StudySide& side : *sides) {
    if (side.runs.empty()) {
      ++left_out;
      print_note(path + ": no run of the variant '" + printable(side.variant, 60) +
                 "' counts: it is left out, and prony study --show " + path + " says why");
      continue;
    }
    const std::string name = alone ? side.variant : path + (sides->size() > 1 ? ":" + side.variant : std::string());
    auto variant = variant_of(name, {side.runs.begin(), side.runs.end()}, known);
    if (!variant) return Unexpected<Error>(variant.error());
    variants.push_back(std::move(*variant));
  }
  return {};
}

Result<std::vector<compare::Condition>> conditions_of(const std::vector<std::string>& texts) {
  std::vector<compare::Condition> all;
  for (const std::string& text : texts) {
    auto condition = compare::parse_condition(text);
    if (!condition) return Unexpected<Error>(condition.error());
    all.push_back(std::move(*condition));
  }
  return all;
}

// What a script goes by: a condition that surely holds, before one that cannot be told.
// Of a variant that was left out no condition can be told.
int code_of(const std::vector<compare::GateOutcome>& gates, bool left_out, const std::string& undecided) {
  const auto any = [&](compare::Verdict verdict) {
    return std::ranges::any_of(gates, [&](const auto& gate) { return gate.verdict == verdict; });
  };
  if (any(compare::Verdict::yes)) return condition_holds;
  if (!(left_out || any(compare::Verdict::cannot_tell)) || undecided == "pass") return exit_code::ok;
  return undecided == "fail" ? condition_holds : cannot_tell;
}

int compare_runs(const CompareWords& words) {
  if (words.paired && words.unpaired)
    return failed({ErrorCode::usage, "--paired and --unpaired contradict each other", {}, "Name one of them."});
  const auto conditions = conditions_of(words.conditions);
  if (!conditions) return failed(conditions.error());
  std::vector<compare::Variant> variants;
  std::set<std::string> known;
  std::size_t left_out = 0;
  for (const std::string& path : words.paths) {
    auto added = add_variants(path, words.paths.size() == 1, known, variants, left_out);
    if (!added) return failed(added.error());
  }
  if (variants.size() < 2)
    return failed({ErrorCode::usage, "two variants at least are compared", "prony compare",
                   "prony compare before.prony after.prony; of studies also FOLDER:NAME"});
  const auto weights = compare::parse_weights(words.merit_weights);
  if (!weights) return failed(weights.error());
  compare::CompareOptions options;
  options.any_origin = words.any_origin;
  if (words.paired || words.unpaired) options.pairing = words.paired ? compare::Pairing::yes : compare::Pairing::no;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  std::vector<compare::GateOutcome> every;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  std::string text;
  for (std::size_t i = 1; i < variants.size(); ++i) {
    const auto comparison = compare::compare_variants(variants[0], variants[i], options);
    std::vector<compare::GateOutcome> gates;
    for (const compare::Condition& condition : *conditions) gates.push_back(compare::gate(condition, comparison));
    const auto merit = compare::merit_of(variants[0], variants[i], {*weights, words.words_per_s, words.any_origin});
    if (words.json) {
      all.push_back(compare::to_json(comparison, gates));
      if (words.merit) all.back()["merit"] = compare::to_json(merit);
    } else {
      text += (text.empty() ? "" : "\n") +
              compare::to_text(comparison, gates, {.width = terminal.width, .colour = terminal.colour});
      if (words.merit) text += "\n" + compare::to_text(merit, terminal.width, terminal.colour);
    }
    every.insert(every.end(), gates.begin(), gates.end());
  }
  if (words.json)
    text =
        (all.size() == 1 ? all[0] : all).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const int printed = print_result(text);
  return printed == exit_code::ok ? code_of(every, left_out > 0 && !conditions->empty(), words.undecided) : printed;
}

}  // namespace

std::function<int(const CommandWords&)> add_compare(CLI::App& command) {
  auto words = std::make_shared<CompareWords>();
  command
      .add_option("RUNS", words->paths,
                  "Variants: a Run each, a folder of Runs (cycles), or a\nstudy's folder; the first is compared to")
      ->required();
  command
      .add_option("--fail-if", words->conditions,
                  "'j_per_output_token > +5%', 'ttft_s > +20ms', 'gross_j > 50J';\nmay be given several times")
      ->type_name("CONDITION")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->allow_extra_args(false);
  command
      .add_option("--cannot-tell", words->undecided,
                  "Exit code where the interval holds the limit: code (2), pass, fail")
      ->type_name("WHAT")
      ->check(CLI::IsMember({"code", "pass", "fail"}));
  command.add_flag("--paired", words->paired, "Runs in the order of their names (requests: by prompt) are pairs");
  command.add_flag("--unpaired", words->unpaired, "Two independent sets, whatever their cycles or prompts");
  command.add_flag("--any-origin", words->any_origin, "Compare modelled joules with measured ones too");
  command.add_flag("--merit", words->merit, "Figures of merit: throughput, bandwidth, CPU and energy in one number");
  command.add_option("--merit-weights", words->merit_weights, "Of those four parts (default 1,1,1,1)")->type_name("W");
  command.add_option("--words-per-s", words->words_per_s, "What a reader takes, for \"usable\" (default 3)")
      ->type_name("N")
      ->check(CLI::Range(0.001, 1e6));
  command.add_flag("--json", words->json, "As JSON, with statistics of each side");
  return [words](const CommandWords&) { return compare_runs(*words); };
}

}  // namespace prony::app
