#include "app/study.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "app/common.hpp"
#include "app/study_best.hpp"
#include "app/study_check.hpp"
#include "app/study_new.hpp"
#include "app/study_page.hpp"
#include "app/study_ranks.hpp"
#include "app/study_results.hpp"
#include "app/study_runner.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "reports/text_layout.hpp"
#include "study/llenergymeasure.hpp"

namespace prony::app {

namespace {

struct StudyOptions {
  std::string file, out, resume, restore, show, html, best, order, take_over;
  std::vector<std::string> scenarios, ranks, under;
  std::size_t cycles = 0;
  bool dry_run = false, settings = false, no_dedup = false, quiet = false, print_unit = false;
};

struct ReadPlan {
  std::string text;
  study::Plan plan;
  std::string base_name = {}, base_text = {};  // of the file that it takes its base from
};

bool is_yaml(const std::string& name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

// The base file lies beside the study's, or is the copy that the study's folder keeps.
Result<void> read_base(const study::Value& value, const std::string& path, const std::string& name,
                       const std::string& kept, study::PlanChoices& choices, ReadPlan& into) {
  const auto named = study::base_file_of(value, name);
  if (!named) return Unexpected<Error>(named.error());
  if (named->empty()) return {};
  into.base_name = *named;
  const std::filesystem::path place =
      kept.empty() ? std::filesystem::path(path).parent_path() / *named : std::filesystem::path(kept);
  auto text = read_whole_file(place.string(), study::longest_file);
  if (!text) {
    text.error().where += " (the base that " + name + " names)";
    return Unexpected<Error>(text.error());
  }
  auto base = study::read_study_text(*text, place.string());
  if (!base) return Unexpected<Error>(base.error());
  choices.base = study::BaseFile{*named, std::move(*base)};
  into.base_text = std::move(*text);
  return {};
}

// `kept_base`: the folder's copy of the base file; empty: it lies beside the study's.
Result<ReadPlan> read_plan(const std::string& path, const std::string& name, study::PlanChoices choices,
                           const std::string& kept_base = {}) {
  ReadPlan read;
  auto text = read_whole_file(path, study::longest_file);
  if (!text) return Unexpected<Error>(text.error());
  const auto value = study::read_study_text(*text, name);
  if (!value) return Unexpected<Error>(value.error());
  if (auto based = read_base(*value, path, name, kept_base, choices, read); !based)
    return Unexpected<Error>(based.error());
  auto plan = study::make_plan(*value, name, study_words(), choices);
  if (!plan) return Unexpected<Error>(plan.error());
  if (plan->name.empty()) plan->name = std::filesystem::path(path).stem().string();
  read.text = std::move(*text);
  read.plan = std::move(*plan);
  return read;
}

Result<void> take_flags(const StudyOptions& options, study::Plan& plan) {
  if (options.cycles > 0) plan.execution.cycles = options.cycles;
  if (options.order.empty()) return {};
  const auto order = study::order_from(options.order);
  if (!order)
    return fail(ErrorCode::usage, "'" + printable(options.order, 40) + "' is no order", "--order",
                "There are: sequential, interleave, shuffle, reverse, counterbalanced.");
  plan.execution.order = *order;
  return {};
}

StudyManifest new_manifest(const StudyOptions& options, const ReadPlan& read) {
  StudyManifest manifest = fresh_manifest(read.plan);
  manifest.file = is_yaml(options.file) ? "study.yaml" : "study.toml";
  if (!read.base_name.empty()) manifest.base = is_yaml(read.base_name) ? "base.yaml" : "base.toml";
  manifest.scenarios = options.scenarios;
  manifest.deduplicate = !options.no_dedup;
  return manifest;
}

// As seen from here where it lies below.
std::string shown_path(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::string near = std::filesystem::proximate(path, ignored).string();
  return near.empty() || near.starts_with("..") ? path.string() : near;
}

int finish_study(StudyRunner& runner, const StudyFolder& folder, bool quiet) {
  const int code = runner.run();
  if (quiet) return code;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  std::string text = "\n" + study_table(runner.manifest(), terminal.width, terminal.colour);
  std::string files = "manifest.json, runs/";
  std::error_code ignored;
  for (const char* name :
       {"results.html", "results_long.csv", "results_wide.csv", "results_variants.csv", "results_variants.jsonl",
        "results_runs.jsonl", "results.svg"})  // not there where it could not go on
    if (std::filesystem::exists(folder.file(name), ignored)) files += std::string(", ") + name;
  text += layout::labelled("saved", {shown_path(folder.path()) + "  (" + files + ")"}, terminal.width,
                           layout::Tone::plain, false);
  return print_result(text) == exit_code::ok ? code : exit_code::own_failure;
}

int begin(const StudyOptions& options) {
  auto read = read_plan(options.file, options.file, {!options.no_dedup, options.scenarios});
  if (!read) return failed(read.error());
  if (auto good = check_variants(read->plan, options.file); !good) return failed(good.error());
  if (auto taken = take_flags(options, read->plan); !taken) return failed(taken.error());
  if (options.dry_run || options.settings)
    return print_result(study_preview(read->plan, nullptr, options.settings, terminal_of(STDOUT_FILENO).width));
  StudyManifest manifest = new_manifest(options, *read);
  std::filesystem::path place = options.out;
  if (place.empty())
    place = std::filesystem::path("studies") / (manifest.id.substr(0, 15) + "-" + file_name_word(read->plan.name));
  const auto folder = StudyFolder::create(place);
  if (!folder) return failed(folder.error());
  // The copy first: a manifest without its file could not be taken up again.
  if (auto kept = replace_durably(folder->file(manifest.file), read->text); !kept) return failed(kept.error());
  if (!manifest.base.empty())
    if (auto kept = replace_durably(folder->file(manifest.base), read->base_text); !kept) return failed(kept.error());
  if (auto kept = folder->save(manifest); !kept) return failed(kept.error());
  if (!options.quiet)
    for (const study::EqualVariants& group : read->plan.equal)
      if (!group.why.empty() && !read->plan.not_run.empty())
        print_note(std::to_string(group.dropped.size()) +
                   (group.dropped.size() == 1 ? " variant means" : " variants mean") + " the same as " +
                   printable(group.kept, 40) + ": " + group.why + " (--no-dedup runs all)");
  if (!options.quiet) print_note("if it breaks off, go on with  prony study --resume " + shown_path(folder->path()));
  StudyRunner runner(read->plan, *folder, std::move(manifest), options.quiet);
  return finish_study(runner, *folder, options.quiet);
}

// The plan of a folder, in the directory in which it was begun, for names of files are as seen from there.
Result<ReadPlan> kept_plan(const StudyFolder& folder, const StudyManifest& manifest) {
  if (manifest.kind == to_string(study::Kind::layers))
    return fail(ErrorCode::usage, "a campaign of layers lies there", folder.path().string(),
                "prony layers --campaign " + folder.file(manifest.file).string() + " -o " + folder.path().string() +
                    "  goes on with it.");
  std::error_code moved;
  std::filesystem::current_path(manifest.directory, moved);
  if (moved)
    return Unexpected<Error>(
        error_from_errno(moved.value(), manifest.directory, "cannot go where the study was begun"));
  auto read = read_plan(folder.file(manifest.file).string(), folder.file(manifest.file).string(),
                        {manifest.deduplicate, manifest.scenarios},
                        manifest.base.empty() ? std::string() : folder.file(manifest.base).string());
  if (read) read->plan.name = manifest.name;
  return read;
}

// As many cycles as it was given before, if nobody says otherwise, and never fewer than were begun.
Result<void> take_cycles(const StudyOptions& options, const StudyManifest& manifest, std::size_t& cycles) {
  std::size_t planned = 0, begun = 0;
  for (const StudyRun& run : manifest.runs) {
    planned = std::max(planned, run.cycle + 1);
    if (!run.attempts.empty()) begun = std::max(begun, run.cycle + 1);
  }
  if (options.cycles > 0 && options.cycles < begun)
    return fail(
        ErrorCode::usage, "cycle " + std::to_string(begun) + " of this study was begun already",
        "--cycles " + std::to_string(options.cycles),
        "What was measured stays in a study: leave --cycles out, or ask for " + std::to_string(begun) + " or more.");
  if (options.cycles == 0) cycles = std::max(cycles, options.file.empty() ? planned : begun);
  return {};
}

int resume(const StudyOptions& options) {
  std::string given;
  if (!options.file.empty()) given = std::filesystem::absolute(options.file).string();
  const auto folder = StudyFolder::open(options.resume);
  if (!folder) return failed(folder.error());
  auto manifest = folder->load();
  if (!manifest) return failed(manifest.error());
  auto read = kept_plan(*folder, *manifest);
  if (!read) return failed(read.error());
  if (auto same = same_design(read->plan, *manifest, folder->file(manifest->file).string()); !same)
    return failed(same.error());
  if (!given.empty()) {
    auto now = read_plan(given, options.file, {manifest->deduplicate, manifest->scenarios});
    if (!now) return failed(now.error());
    if (auto same = same_design(now->plan, *manifest, options.file); !same) return failed(same.error());
    read = std::move(now);
  }
  const std::string said_in = given.empty() ? folder->file(manifest->file).string() : options.file;
  if (auto good = check_variants(read->plan, said_in); !good) return failed(good.error());
  if (auto taken = take_flags(options, read->plan); !taken) return failed(taken.error());
  if (auto taken = take_cycles(options, *manifest, read->plan.execution.cycles); !taken) return failed(taken.error());
  if (options.dry_run || options.settings)
    return print_result(study_preview(read->plan, &*manifest, options.settings, terminal_of(STDOUT_FILENO).width));
  if (const std::string here = this_host(); !manifest->host.empty() && here != manifest->host)
    print_note("this is " + printable(here, 60) + ", the study was begun on " + printable(manifest->host, 60) +
               ": what runs from here on is flagged, figures of two machines are no spread of one");
  manifest->runs = planned_runs(read->plan, manifest->runs);
  StudyRunner runner(read->plan, *folder, std::move(*manifest), options.quiet);
  return finish_study(runner, *folder, options.quiet);
}

int restore(const StudyOptions& options) {
  const auto folder = StudyFolder::open(options.restore);
  if (!folder) return failed(folder.error());
  auto manifest = folder->load();
  if (!manifest) return failed(manifest.error());
  const auto read = kept_plan(*folder, *manifest);  // its runs need not be possible any more: none is begun
  if (!read) return failed(read.error());
  if (manifest->machine_before.empty()) return print_result("There is nothing to put back.\n");
  const std::size_t count = manifest->machine_before.size();
  StudyMachine machine;
  if (auto done = machine.restore(read->plan, *manifest, *folder); !done) return failed(done.error());
  return print_result(std::to_string(count) + (count == 1 ? " setting is" : " settings are") +
                      " as before the study.\n");
}

// Exit code 1: no variant keeps to all limits.
int rank_variants(const StudyOptions& options, const StudyManifest& manifest, const Terminal& terminal) {
  std::vector<StudyLimit> limits;
  for (const std::string& text : options.under) {
    auto limit = study_limit_from(text);
    if (!limit) return failed(limit.error());
    limits.push_back(std::move(*limit));
  }
  const StudyData data = study_data(manifest);
  const auto ranking = study_ranking(data, options.best, limits);
  if (!ranking) return failed(ranking.error());
  const int printed = print_result(ranking_text(*ranking, limits, data.origin, terminal.width, terminal.colour));
  return printed != exit_code::ok || ranking->best() != nullptr ? printed : exit_code::failed_requests;
}

// Reads only: also while the study goes on.
int show_study(const StudyOptions& options) {
  const std::string path = (std::filesystem::path(options.show) / "manifest.json").string();
  const auto text = read_whole_file(path, std::size_t{256} << 20);
  if (!text && text.error().code == ErrorCode::absent)
    return failed({ErrorCode::absent, "no study lies there", options.show, "Name the folder that prony study made."});
  if (!text) return failed(text.error());
  const auto manifest = manifest_from(*text, path);
  if (!manifest) return failed(manifest.error());
  if (!options.html.empty()) {  // also of a study that an older Prony made, or that is not at its end
    const auto page = study_page(*manifest, power_traces(options.show, *manifest));
    if (auto written = write_file(options.html, page); !written) return failed(written.error());
    return exit_code::ok;
  }
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  if (!options.best.empty()) return rank_variants(options, *manifest, terminal);
  return print_result(study_table(*manifest, terminal.width, terminal.colour));
}

// A word of a unit's command line or description as systemd reads it: % and $ begin what is put in.
std::string unit_text(const std::string& text, bool in_command) {
  std::string out;
  for (const char c : text) {
    if (c == '%' || (in_command && c == '$')) out += c;
    if (in_command && (c == '"' || c == '\\')) out += '\\';
    out += c;
  }
  return out;
}

int print_unit(const StudyOptions& options) {
  if (options.resume.empty())
    return failed({ErrorCode::usage, "which study?", "--print-unit", "prony study --print-unit --resume FOLDER"});
  const auto folder = std::filesystem::absolute(options.resume).lexically_normal().string();
  if (std::ranges::any_of(folder, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return failed({ErrorCode::usage, "a unit cannot name a folder with a control character in its name",
                   printable(folder, 200), "Rename it."});
  std::error_code ignored;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  return print_result(
      "# Goes on with a study after a reboot. As root:\n#   prony study --print-unit --resume FOLDER > "
      "/etc/systemd/system/prony-study.service\n"
      "#   systemctl daemon-reload && systemctl enable --now prony-study\n[Unit]\nDescription=Prony study in " +
      unit_text(folder, false) +
      "\nAfter=multi-user.target\n\n[Service]\nType=exec\nUser=" + std::to_string(::getuid()) + "\nExecStart=\"" +
      unit_text(self, true) + "\" study --resume \"" + unit_text(folder, true) +
      "\"\nKillMode=mixed\nTimeoutStopSec=60\nRestart=no\n\n[Install]\nWantedBy=multi-user.target\n");
}

// A configuration of another tool as a study, on stdout; JSON is YAML.
int take_over(const std::string& path) {
  const auto text = read_whole_file(path, study::longest_file);
  if (!text) return failed(text.error());
  const auto value = study::read_yaml(*text, path);
  if (!value) return failed(value.error());
  const auto taken = study::from_llenergymeasure(*value, std::filesystem::path(path).filename().string());
  if (!taken) return failed(taken.error());
  if (!taken->named.empty())
    print_note(std::to_string(taken->named.size()) +
               " remarks on keys that are not taken over just as they were: they "
               "stand above the study");
  return print_result(taken->toml);
}

int study_command(const StudyOptions& options) {
  if (!options.take_over.empty()) return take_over(options.take_over);
  if (options.print_unit) return print_unit(options);
  if (!options.ranks.empty()) return add_up_ranks(options.ranks);
  if ((!options.best.empty() || !options.under.empty()) && options.show.empty())
    return failed({ErrorCode::usage, "the best of which study?", "--best, --under",
                   "prony study --show FOLDER --best gross_j --under \"ttft_s < 0.5\""});
  if (!options.under.empty() && options.best.empty())
    return failed({ErrorCode::usage, "limits of what?", "--under", "Name the figure to be best in:  --best gross_j"});
  if (!options.html.empty() && options.show.empty())
    return failed({ErrorCode::usage, "a page of which study?", "--html", "prony study --show FOLDER --html FILE"});
  if (!options.show.empty()) return show_study(options);
  if (!options.restore.empty()) return restore(options);
  if (!options.resume.empty()) return resume(options);
  if (options.file.empty())
    return failed({ErrorCode::usage, "no study file given", "prony study", "prony help study  shows a whole one."});
  return begin(options);
}

}  // namespace

std::string study_help_text() {
  return R"(Studies: many runs by one file, TOML or YAML  (prony study FILE)

  [study]
  name = "threads"        cycles = 3         order = "counterbalanced"
                          (or sequential, interleave, shuffle, reverse)
  mode = "grid"           (or one-factor: one axis at a time)        seed = 1
  experiment-gap = "2s"   cycle-gap = "1m"   timeout = "1h"   silence = "15m"   wall-limit = "8h"
  retries = 1             back-off = "5s"    stop-after = 10  deduplicate = true
  memory-limit = "8GiB"   notify = "./told.sh"                (a command, run at the end)
  kind = "llm"            (or run: any command; cold-start: the model leaves memory before each run)

  [base]                  # options of `prony llm` (kind run: of `prony run`), without dashes;
                          # from = "other.toml": what is not here is as in that file's [base]
  model = "tiny.gguf"
  max-tokens = 64         warmup-until = "cv=5%,temp=1C,most=50"
  [sweep]
  threads = [1, 2, 4]     # an axis; several are crossed
  sampling = [{}, { temperature = 0.7, top-k = [20, 40] }]    # change together; {} is the base
  llama.ctx = [512]       # of runs with that engine alone
  [[experiments]]         # single runs: what differs from the base
  threads = 8
  [scenarios.chat]        # the same by name; --scenario chat runs it alone
  prompts = "chat.json"   turns = "all"      # an engine that serves takes  rate = 2, too

  [[prepare]]             # run first where the file is missing
  command = ["prony", "synth", "llama", "-o", "tiny.gguf"]
  makes = "tiny.gguf"
  [machine.power-cap]     # an axis machine.power-cap = [150, 250] sets, verifies and restores it
  get = "cat /sys/…"      # verify: the same, unless said
  set = "echo {value} > /sys/…"              # restore: the same with {before}, unless said
  [gate]                  # before each run
  max-temp = 50           limit = "10m"
  [schedule]              # when runs may be begun, local time
  at = "22:00"            window = "22:00-06:00"              days = "weekdays"

  Of any program:  [base] command = ["./bench", "--size={n}"]  with an axis  vars.n = [10, 20];
  env.NAME for its environment. Settings that mean the same run once (--no-dedup). Files are named
  as seen from where the study is begun. After a kill or a reboot:  prony study --resume FOLDER
  (--print-unit: by systemd); --cycles 5 adds cycles.
)";
}

std::function<int(const CommandWords&)> add_study(CLI::App& command) {
  auto options = std::make_shared<StudyOptions>();
  StudyOptions& o = *options;
  command.add_option("FILE", o.file, "The study, TOML or YAML (prony help study)");
  command.add_option("--out", o.out, "Its folder (default studies/<utc>-<name>)")->type_name("DIR");
  command.add_flag("--dry-run", o.dry_run, "How many runs, in which order, how long, how much memory; run nothing");
  command.add_flag("--settings", o.settings, "Every setting of every variant and where it comes from; run nothing");
  command.add_option("--resume", o.resume, "Go on with the study in this folder; what is done is not run again")
      ->type_name("DIR");
  command.add_option("--cycles", o.cycles, "So many cycles, whatever the file says")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1000}).description(""));
  command.add_option("--order", o.order, "sequential, interleave, shuffle, reverse, counterbalanced")
      ->type_name("ORDER");
  command.add_option("--scenario", o.scenarios, "Only this one of the file; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--no-dedup", o.no_dedup, "Run also what means the same as another");
  command.add_option("--show", o.show, "The table of a study, also while it goes on")->type_name("DIR");
  command.add_option("--html", o.html, "… as a page of HTML with its charts")->type_name("FILE");
  command.add_option("--best", o.best, "… ranked by a figure of results_wide.csv")->type_name("FIGURE");
  command.add_option("--under", o.under, "… that keep to a limit: \"ttft_s < 0.5\"; may be repeated")
      ->type_name("LIMIT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--restore", o.restore, "Put the machine's settings back, after a crash")->type_name("DIR");
  command.add_option("--ranks", o.ranks, "Add up the Runs of all ranks of one job, each meter once")
      ->type_name("RUN…")
      ->expected(1, 100'000)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--take-over", o.take_over, "Print a configuration of LLenergyMeasure as a study")
      ->type_name("FILE");
  command.add_flag("--print-unit", o.print_unit, "A systemd unit that resumes after a reboot (with --resume DIR)");
  command.add_flag("--quiet", o.quiet, "Print neither progress nor table");
  return [options](const CommandWords& words) {
    if (!words.empty())
      return failed({ErrorCode::usage, "a study takes no command after --", "prony study",
                     "It stands in the file:  command = [\"./program\"]"});
    return study_command(*options);
  };
}

}  // namespace prony::app
