#include "app/study_notice.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr std::int64_t longest_notice_ns = 60'000'000'000;

}  // namespace

Result<void> tell_of_end(const std::string& command, const StudyManifest& manifest, const StudyFolder& folder,
                         const SignalState& signals) {
  const auto log = Fd::open(folder.file("notify.log").string(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (!log) return Unexpected<Error>(log.error());
  const auto nothing = Fd::open("/dev/null", O_RDONLY);
  if (!nothing) return Unexpected<Error>(nothing.error());
  const auto done = std::ranges::count_if(manifest.runs, [](const StudyRun& run) { return run.status == "done"; });
  SpawnOptions options;
  options.arguments = {"/bin/sh", "-c", command};
  options.environment = {
      {"PRONY_STUDY_NAME", manifest.name},        {"PRONY_STUDY_STATUS", manifest.status},
      {"PRONY_STUDY_WHY", manifest.why},          {"PRONY_STUDY_FOLDER", folder.path().string()},
      {"PRONY_STUDY_DONE", std::to_string(done)}, {"PRONY_STUDY_RUNS", std::to_string(manifest.runs.size())}};
  options.stdin_fd = nothing->get();
  options.stdout_fd = options.stderr_fd = log->get();
  options.own_group = options.die_with_parent = true;
  options.signals = signals;
  const auto failed = [&](std::string what) {
    return fail(ErrorCode::unavailable, std::move(what), "notify: " + printable(command, 80),
                "What it said is in " + folder.file("notify.log").string() + ". The study's own results are whole.");
  };
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  const auto ended = child->wait(longest_notice_ns);
  if (!ended) return Unexpected<Error>(ended.error());
  if (!*ended) {
    (void)::kill(-child->pid(), SIGKILL);
    (void)child->wait();
    return failed("the command that is told of the end took longer than a minute and was ended");
  }
  const int code = (*ended)->shell_code();
  if (code != 0) return failed("the command that is told of the end failed with code " + std::to_string(code));
  return {};
}

}  // namespace prony::app
