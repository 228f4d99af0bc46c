#include "app/study_runner.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "app/common.hpp"
#include "app/study_cold.hpp"
#include "app/study_hours.hpp"
#include "app/study_memory.hpp"
#include "app/study_new.hpp"
#include "app/study_notice.hpp"
#include "app/study_prepare.hpp"
#include "app/study_progress.hpp"
#include "app/study_results.hpp"
#include "app/study_scratch.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

using Wall = std::chrono::system_clock;

constexpr std::uint64_t least_room = 8u << 20;  // bytes: a Run and its manifest

std::string utc_now() {
  return format_utc(std::chrono::duration_cast<std::chrono::nanoseconds>(Wall::now().time_since_epoch()).count());
}

std::string padded_number(std::size_t number) {
  std::string text = std::to_string(number);
  return text.size() < 3 ? std::string(3 - text.size(), '0') + text : text;
}

// What the run said last, for people who wonder why it left nothing.
std::string last_words(const std::string& log) {
  const auto text = read_whole_file(log, 1 << 20);
  if (!text) return {};
  std::string said;
  for_each_line(*text, [&](std::string_view line) {
    if (line.starts_with("prony: "))
      said = line.substr(7);
    else if (said.empty() && !trim(line).empty())
      said = line;
  });
  return printable(said, 160);
}

// Both, unless one says what the other does.
std::string told_once(const std::string& reason, const std::string& said) {
  if (said.empty() || reason.find(said) != std::string::npos) return reason;
  return said.find(reason) != std::string::npos ? said : reason + ": " + said;
}

}  // namespace

std::vector<StudyRun> planned_runs(const study::Plan& plan, const std::vector<StudyRun>& before) {
  std::vector<StudyRun> runs;
  std::size_t highest = 0;
  for (const StudyRun& run : before) highest = std::max(highest, run.number);
  for (const study::Slot& slot : plan.slots()) {
    const study::Variant& variant = plan.variants[slot.variant];
    const auto known = std::ranges::find_if(
        before, [&](const StudyRun& run) { return run.variant == variant.name && run.cycle == slot.cycle; });
    if (known != before.end()) {
      runs.push_back(*known);
      continue;
    }
    StudyRun run;
    run.number = ++highest;
    run.variant = variant.name;
    run.hash = variant.hash;
    run.cycle = slot.cycle;
    runs.push_back(std::move(run));
  }
  // What was begun stays, whatever is asked for now: its files lie in the folder, and its number is its own.
  for (const StudyRun& run : before)
    if (!run.attempts.empty() && std::ranges::find(runs, run.number, &StudyRun::number) == runs.end())
      runs.push_back(run);
  return runs;
}

StudyRunner::StudyRunner(const study::Plan& plan, const StudyFolder& folder, StudyManifest manifest, bool quiet)
    : plan_(plan),
      folder_(folder),
      manifest_(std::move(manifest)),
      quiet_(quiet),
      terminal_(!quiet && ::isatty(STDERR_FILENO) == 1) {
  std::error_code ignored;
  self_ = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  signals_.relay([this](int number, bool) { stop_ = number; });
  take_orphans();
}

const study::Variant* StudyRunner::variant_of(const StudyRun& run) const {
  for (const study::Variant& variant : plan_.variants)
    if (variant.name == run.variant) return &variant;
  return nullptr;
}

void StudyRunner::show(const std::string& line) {
  if (!terminal_) return;
  const std::string text = "\r\x1b[2K" + printable(line, terminal_of(STDERR_FILENO).width);
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

void StudyRunner::pause(std::int64_t ns) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  while (stop_.load() == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(
        std::min<std::chrono::nanoseconds>(std::chrono::milliseconds(100), end - std::chrono::steady_clock::now()));
}

Result<void> StudyRunner::room() const {
  struct statvfs status{};
  if (::statvfs(folder_.path().c_str(), &status) != 0) return {};
  const std::uint64_t left = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (left >= least_room) return {};
  return fail(
      ErrorCode::full,
      "only " + std::to_string(left >> 10) + " KiB are left on this disk: no run is begun that could not be kept",
      folder_.path().string(),
      "What was measured is kept. Make room, then:  prony study --resume " + folder_.path().string());
}

// Attempts that a kill or a power cut left open: those whose Run is whole are done, the others never were.
Result<void> StudyRunner::take_up() {
  bool changed = false;
  for (StudyRun& run : manifest_.runs) {
    for (StudyAttempt& attempt : run.attempts) {
      if (attempt.status != "running") continue;
      changed = true;
      const study::Variant* variant = variant_of(run);
      if (variant == nullptr) continue;
      StudyVerdict verdict = judge_study_run(folder_.file(attempt.run).string(), attempt.id, *variant, plan_.kind);
      if (verdict.good)
        if (auto kept = keep_durably(folder_.file(attempt.run)); !kept) return kept;
      attempt.status = verdict.good ? "done" : "interrupted";
      attempt.reason = verdict.good ? "" : "cut off: " + verdict.reason;
      attempt.adopted = verdict.good;
      attempt.origin = verdict.origin;
      attempt.flags.insert(attempt.flags.end(), verdict.flags.begin(), verdict.flags.end());
      if (verdict.good) attempt.figures = std::move(verdict.figures);
      if (auto kept = keep_settings(attempt, verdict); !kept) return kept;
    }
    if (run.status == "running" || run.status == "failed") {
      changed = true;
      run.status = "pending";
    }
    if (run.good() != nullptr) run.status = "done";
  }
  if (manifest_.status != "running" || !manifest_.why.empty()) changed = true;
  manifest_.status = "running";
  manifest_.why.clear();
  return changed ? folder_.save(manifest_) : Result<void>{};
}

Result<void> StudyRunner::prepare() {
  std::size_t number = 0;
  for (const study::Preparation& one : plan_.prepare) {
    ++number;
    show("making " + one.makes);
    auto making = Making::begin(one.makes, stop_);
    if (!making) return Unexpected<Error>(making.error());
    if (!*making) continue;
    StudyChildPlan child;
    child.words = one.command;
    if (child.words.front() == "prony") child.words.front() = self_;
    child.log = folder_.file("prepare-" + std::to_string(number) + ".log").string();
    child.progress = folder_.file(".progress").string();
    child.signals = signals_.before();
    const auto end = run_study_child(child, stop_, [](const std::string&) {});
    if (!end) return Unexpected<Error>(end.error());
    if (end->interrupted) return {};
    std::error_code ignored;
    if (end->exit_code.value_or(1) != 0 || !std::filesystem::exists(one.makes, ignored))
      return fail(ErrorCode::unavailable, "what makes it failed: " + last_words(child.log), one.makes,
                  "Its output is in " + child.log);
    if (auto whole = (*making)->finish(); !whole) return whole;
  }
  return {};
}

std::vector<std::string> StudyRunner::words_of(const study::Variant& variant, const StudyRun& run,
                                               const StudyAttempt& attempt) const {
  std::vector<std::string> words = study::command_line(plan_, variant);
  const std::vector<std::string> own{"--out=" + folder_.file(attempt.run).string(),
                                     "--quiet",
                                     "--die-with-prony",
                                     "--tag=study=" + attempt.id,
                                     "--tag=study.variant=" + variant.name,
                                     "--tag=study.hash=" + variant.hash,
                                     "--tag=study.cycle=" + std::to_string(run.cycle + 1)};
  words.insert(words.begin() + 1, own.begin(), own.end());
  words.insert(words.begin(), self_);
  return words;
}

// What must be so before a run is begun; a failure is the attempt's.
Result<void> StudyRunner::ready(const study::Variant& variant, StudyAttempt& attempt) {
  if (auto applied = machine_.apply(plan_, variant, manifest_, folder_, stop_); !applied) return applied;
  if (plan_.execution.max_celsius) {
    if (auto watched = machine_.watch(variant); !watched) return watched;
    const auto waited = machine_.cool_down(*plan_.execution.max_celsius, plan_.execution.gate_limit_ns, stop_);
    if (!waited) return Unexpected<Error>(waited.error());
    attempt.figures["gate_wait_s"] = *waited;
    if (const auto now = machine_.celsius()) attempt.figures["begin_celsius"] = *now;
  }
  if (plan_.kind != study::Kind::cold_start) return {};
  auto cold = make_cold(variant);
  if (!cold) return Unexpected<Error>(cold.error());
  if (cold->held_share) attempt.figures["model_cached_share"] = *cold->held_share;
  if (!cold->doubt.empty()) attempt.flags.push_back(std::move(cold->doubt));
  return {};
}

// Beside the Run: its settings as declared, as resolved and as observed.
Result<void> StudyRunner::keep_settings(const StudyAttempt& attempt, StudyVerdict& verdict) const {
  if (verdict.settings.is_null()) return {};
  const std::string name =
      attempt.run.substr(0, attempt.run.size() - std::string_view(".prony").size()) + ".settings.json";
  verdict.settings["attempt"] = attempt.id;
  verdict.settings["flags"] = attempt.flags;
  return replace_durably(folder_.file(name),
                         verdict.settings.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Result<void> StudyRunner::measure(const study::Variant& variant, const StudyRun& run, StudyAttempt& attempt) {
  const study::Execution& e = plan_.execution;
  StudyChildPlan child;
  child.words = words_of(variant, run, attempt);
  child.environment = study::environment(variant);
  const StudyScratch scratch(folder_, plan_.kind);
  scratch.tell(child.environment);
  child.log = folder_.file(attempt.log).string();
  child.progress = folder_.file(".progress").string();
  child.timeout_ns = e.timeout_ns;
  child.memory_limit = e.memory_limit;
  child.environment.emplace_back(cycle_variable, std::to_string(run.cycle + 1));
  // Longer than what `prony llm` itself waits for an answer, so that it can say which one did not come.
  constexpr std::int64_t quarter_hour = 900'000'000'000;
  child.silence_ns = e.silence_ns.value_or(plan_.kind == study::Kind::run ? 0 : quarter_hour);
  child.signals = signals_.before();
  const std::string head = std::to_string(run.number) + "/" + std::to_string(manifest_.runs.size()) + " " +
                           variant.name + " · cycle " + std::to_string(run.cycle + 1);
  const auto end = run_study_child(
      child, stop_, [&](const std::string& progress) { show(progress.empty() ? head : head + " · " + progress); });
  if (!end) return Unexpected<Error>(end.error());
  attempt.exit_code = end->exit_code;
  attempt.memory_limit = end->memory_limit;
  StudyVerdict verdict = judge_study_run(folder_.file(attempt.run).string(), attempt.id, variant, plan_.kind);
  attempt.origin = verdict.origin;
  attempt.flags.insert(attempt.flags.end(), verdict.flags.begin(), verdict.flags.end());
  attempt.figures.merge(verdict.figures);
  std::string reason = end->reason.empty() ? verdict.reason : end->reason;
  if (reason.empty() && end->exit_code.value_or(0) != 0)
    reason = "prony ended with code " + std::to_string(*end->exit_code);
  if (!verdict.good && end->reason.empty()) reason = told_once(reason, last_words(child.log));
  if (!reason.empty())  // a Run that was cut off by it cannot say so itself
    if (const auto space = room(); !space) reason += "; the disk is full: " + space.error().what;
  if (!reason.empty() && end->out_of_memory > 0)
    reason += "; meanwhile the kernel ended " + std::to_string(end->out_of_memory) +
              (end->out_of_memory == 1 ? " process" : " processes") + " of this machine for want of memory";
  if (reason.empty())  // before anything says that it is done
    if (auto kept = keep_durably(folder_.file(attempt.run)); !kept) reason = error_text(kept.error());
  attempt.reason = reason;
  attempt.status = reason.empty() ? "done" : end->interrupted ? "interrupted" : "failed";
  return keep_settings(attempt, verdict);
}

Result<void> StudyRunner::attempt(StudyRun& run, const study::Variant& variant) {
  const std::size_t number = run.attempts.size() + 1;
  StudyAttempt attempt;
  attempt.id = manifest_.id + "/r" + padded_number(run.number) + "/a" + std::to_string(number);
  const std::string stem = "runs/" + padded_number(run.number) + "-c" + std::to_string(run.cycle + 1) + "-" +
                           file_name_word(variant.name) + "-a" + std::to_string(number);
  attempt.run = stem + ".prony";
  attempt.log = stem + ".log";
  attempt.status = "running";
  attempt.begun_utc = utc_now();
  if (const std::string here = this_host(); !manifest_.host.empty() && here != manifest_.host)
    attempt.flags.push_back("another machine: run on " + printable(here, 60) + ", the study was begun on " +
                            printable(manifest_.host, 60));
  run.status = "running";
  run.attempts.push_back(attempt);
  if (auto saved = folder_.save(manifest_); !saved) return saved;  // before anything is begun
  Result<void> written;
  if (auto good = ready(variant, attempt); !good) {
    attempt.status = stop_.load() != 0 ? "interrupted" : "failed";
    attempt.reason = error_text(good.error());
    std::ranges::replace(attempt.reason, '\n', ' ');
  } else if (stop_.load() != 0) {
    attempt.status = "interrupted";
    attempt.reason = "the study was stopped before it began";
  } else {
    written = measure(variant, run, attempt);
  }
  attempt.ended_utc = utc_now();
  run.attempts.back() = std::move(attempt);
  const std::string& status = run.attempts.back().status;
  run.status = status == "done" ? "done" : status == "failed" ? "failed" : "pending";
  if (!written) return written;
  return folder_.save(manifest_);
}

Result<StudyRunner::Step> StudyRunner::attempts(StudyRun& run, const study::Variant& variant) {
  std::int64_t back_off = plan_.execution.back_off_ns;
  for (std::size_t tries = 0; tries <= plan_.execution.retries; ++tries) {
    if (tries > 0) {
      show("run " + std::to_string(run.number) + " failed, once more soon");
      pause(back_off);
      back_off = std::min<std::int64_t>(back_off * 2, 3'600'000'000'000);
    }
    if (stop_.load() != 0) return Step::stop;
    if (auto done = attempt(run, variant); !done) return Unexpected<Error>(done.error());
    tell(run);
    if (stop_.load() != 0) return Step::stop;
    if (run.status == "done") break;
    if (auto space = room(); !space) return Unexpected<Error>(space.error());  // it may be why
  }
  return Step::on;
}

void StudyRunner::tell(const StudyRun& run) const {
  if (quiet_) return;
  const StudyAttempt& last = run.attempts.back();
  std::string line = (terminal_ ? std::string("\r\x1b[2K") : std::string());
  line += " " + std::to_string(run.number) + "/" + std::to_string(manifest_.runs.size()) + "  cycle " +
          std::to_string(run.cycle + 1) + "  " + printable(run.variant, 50) + "  ";
  line += last.status == "done" ? study_run_words(last) : last.status + ": " + printable(last.reason, 200);
  std::fprintf(stderr, "%s\n", line.c_str());
}

bool StudyRunner::may_begin() {
  const study::Execution& e = plan_.execution;
  const auto passed =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begun_).count();
  if (e.wall_limit_ns > 0 && passed > e.wall_limit_ns)
    manifest_.why = "its wall limit of " + format_number(static_cast<double>(e.wall_limit_ns) / 1e9) +
                    " s is over; the rest waits for --resume";
  else if (e.stop_after > 0 && failed_in_a_row_ >= e.stop_after)
    manifest_.why = std::to_string(failed_in_a_row_) + " runs in a row failed; mend the cause, then --resume";
  return manifest_.why.empty();
}

Result<StudyRunner::Step> StudyRunner::one(StudyRun& run, bool begins_cycle) {
  const study::Variant* variant = variant_of(run);
  if (variant == nullptr) return Step::on;
  if (plan_.execution.hours.limited())
    wait_for_hours(plan_.execution.hours, stop_, [this](const std::string& line) { show(line); });
  if (stop_.load() != 0 || !may_begin()) return Step::stop;
  if (auto space = room(); !space) return Unexpected<Error>(space.error());
  if (any_run_) {
    const std::int64_t gap = begins_cycle && plan_.execution.cycle_gap_ns > 0 ? plan_.execution.cycle_gap_ns
                                                                              : plan_.execution.experiment_gap_ns;
    if (gap > 0) show("rest of " + format_number(static_cast<double>(gap) / 1e9) + " s");
    pause(gap);
  }
  any_run_ = true;
  auto step = attempts(run, *variant);
  failed_in_a_row_ = run.status == "failed" ? failed_in_a_row_ + 1 : 0;
  return step;
}

Result<void> StudyRunner::go() {
  if (auto taken = take_up(); !taken) return taken;
  if (auto space = room(); !space) return space;
  if (plan_.execution.memory_limit > 0 && !memory_can_be_told())
    return fail(ErrorCode::unavailable, "this kernel does not tell whose children processes are", "memory-limit",
                "It needs CONFIG_PROC_CHILDREN. Leave memory-limit out, or set a limit around the study (ulimit, "
                "systemd-run).");
  if (auto prepared = prepare(); !prepared) return prepared;
  const bool fresh = std::ranges::all_of(manifest_.runs, [](const StudyRun& run) { return run.attempts.empty(); });
  if (fresh && plan_.execution.hours.at)  // what was begun is not put off again
    wait_for_time(*plan_.execution.hours.at, stop_, [this](const std::string& line) { show(line); });
  begun_ = std::chrono::steady_clock::now();
  const std::vector<study::Slot> slots = plan_.slots();
  bool begins_cycle = false;
  for (std::size_t i = 0; i < manifest_.runs.size() && stop_.load() == 0; ++i) {
    begins_cycle = begins_cycle || (i < slots.size() && slots[i].begins_cycle);
    if (manifest_.runs[i].status == "done") continue;
    auto step = one(manifest_.runs[i], begins_cycle);
    if (!step) return Unexpected<Error>(step.error());
    if (*step == Step::stop) break;
    begins_cycle = false;
  }
  return {};
}

int StudyRunner::run() {
  const auto went = go();
  show("");
  const auto undone = [&](const char* status) {
    return std::ranges::any_of(manifest_.runs, [&](const StudyRun& run) { return run.status == status; });
  };
  Result<void> restored = machine_.restore(plan_, manifest_, folder_);
  if (!restored) print_error(restored.error());
  if (!went) {
    print_error(went.error());
    return exit_code::own_failure;  // the manifest on disk is as it was last written: a later --resume goes on from it
  }
  const bool all = std::ranges::all_of(manifest_.runs, [](const StudyRun& run) { return run.status == "done"; });
  manifest_.status = stop_.load() != 0                             ? "interrupted"
                     : all                                         ? "complete"
                     : !manifest_.why.empty() || undone("pending") ? "stopped"
                                                                   : "failed";
  if (stop_.load() != 0) manifest_.why = "by signal " + std::to_string(stop_.load()) + "; go on with --resume";
  auto kept = folder_.save(manifest_);
  if (kept) kept = write_study_results(folder_, manifest_);
  if (!plan_.execution.notify.empty())
    if (auto told = tell_of_end(plan_.execution.notify, manifest_, folder_, signals_.before()); !told)
      print_error(told.error());
  if (!kept) return failed(kept.error());
  if (!restored) return exit_code::own_failure;
  if (stop_.load() != 0) return 128 + stop_.load();
  return all ? exit_code::ok : exit_code::failed_requests;
}

}  // namespace prony::app
