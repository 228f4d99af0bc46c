// The half of prony/meter.h that measures.
#include <prony/prony.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "library/error.hpp"
#include "library/meter.hpp"
#include "library/run_handle.hpp"

struct prony_meter {
  std::unique_ptr<prony::library::Meter> meter;
  prony::library::MeterOptions options;
  pid_t owner = 0;
  enum { opened, running, stopped } state = opened;
  bool spans_before = false;                      // this program's spans went somewhere before
  std::optional<std::string> environment_before;  // PRONY_SPANS, where it was set
};

namespace prony::library {

namespace {

constexpr const char* spans_variable = "PRONY_SPANS";
constexpr std::uint32_t known_flags = PRONY_METER_FORCE | PRONY_METER_ENVIRONMENT | PRONY_METER_EVERY_CHANNEL |
                                      PRONY_METER_KEPT_BASELINE | PRONY_METER_LEAVE_SPANS;

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

Result<MeterOptions> options_of(const prony_meter_options& from) {
  if (from.mode > PRONY_METER_PROCESS)
    return fail(ErrorCode::usage, "there is no such mode: " + std::to_string(from.mode), "mode",
                "PRONY_METER_THREAD (0) or PRONY_METER_PROCESS (1).");
  if ((from.flags & ~known_flags) != 0 || from.reserved != 0)
    return fail(ErrorCode::usage, "a flag that this version does not know, or reserved is not 0", "flags",
                "Set the struct to 0 first; prony_meter_abi_version() tells the version.");
  MeterOptions options;
  options.own_process = from.mode == PRONY_METER_PROCESS;
  options.force = (from.flags & PRONY_METER_FORCE) != 0;
  options.environment = (from.flags & PRONY_METER_ENVIRONMENT) != 0;
  options.every_channel = (from.flags & PRONY_METER_EVERY_CHANNEL) != 0;
  options.kept_baseline = (from.flags & PRONY_METER_KEPT_BASELINE) != 0;
  options.leave_spans = (from.flags & PRONY_METER_LEAVE_SPANS) != 0;
  options.out = text_of(from.out);
  if (from.name != nullptr) options.name = from.name;
  options.sensors = text_of(from.sensors);
  options.simulate = text_of(from.simulate);
  options.program = text_of(from.program);
  if (from.interval_ns != 0) options.interval = {from.interval_ns};
  if (options.interval < milliseconds(1) || options.interval > milliseconds(60'000))
    return fail(ErrorCode::usage, "an interval of " + std::to_string(from.interval_ns) + " ns", "interval_ns",
                "1 ms to 1 min; 0: 10 ms.");
  options.baseline = {from.baseline_ns};
  if (options.baseline.ns < 0 || options.baseline > milliseconds(3'600'000))
    return fail(ErrorCode::usage, "a baseline of " + std::to_string(from.baseline_ns) + " ns", "baseline_ns",
                "Up to an hour; 0: none.");
  if (from.pid < 0) return fail(ErrorCode::usage, "process " + std::to_string(from.pid), "pid", "0: this process.");
  options.pid = from.pid == 0 ? ::getpid() : from.pid;
  return options;
}

// nullptr: it may be used.
const char* why_not(const prony_meter* meter) {
  return meter->owner == ::getpid() ? nullptr : "this meter belongs to the process that forked this one";
}

void take_spans(prony_meter& meter) {
  const char* const path = meter.meter->spans_path().c_str();
  if (!meter.options.leave_spans) {
    meter.spans_before = ::prony_recording() == 1;
    (void)::prony_open(path);  // where it cannot be mapped, calls stay no-ops
  }
  if (!meter.options.environment) return;
  const char* const before = ::getenv(spans_variable);
  if (before != nullptr) meter.environment_before = before;
  ::setenv(spans_variable, path, 1);
}

void give_back_spans(prony_meter& meter) {
  if (meter.options.environment) {
    if (meter.environment_before)
      ::setenv(spans_variable, meter.environment_before->c_str(), 1);
    else
      ::unsetenv(spans_variable);
  }
  if (meter.options.leave_spans) return;
  ::prony_close();
  if (meter.spans_before) (void)::prony_open(nullptr);
}

int open_meter(const prony_meter_options* given, prony_meter** out) {
  prony_meter_options from{};
  if (given != nullptr) {
    if (given->struct_size < 8 || given->struct_size > sizeof from)
      return tell(Error{ErrorCode::usage,
                        "struct_size is not the size of prony_meter_options",
                        {},
                        "Set it to sizeof; a program that is newer than this library needs a newer one."});
    memcpy(&from, given, given->struct_size);
  }
  auto options = options_of(from);
  if (!options) return tell(options.error());
  auto handle = std::make_unique<prony_meter>();
  handle->options = *options;
  handle->owner = ::getpid();
  auto meter = options->own_process ? make_process_meter(*std::move(options)) : make_thread_meter(*std::move(options));
  if (!meter) return tell(meter.error());
  handle->meter = std::move(*meter);
  *out = handle.release();
  return 0;
}

int stop_meter(prony_meter& meter) {
  if (meter.state == prony_meter::opened)
    return tell(WrongState{"the meter was not started", "Call prony_meter_start() first."});
  if (meter.state == prony_meter::stopped) return 0;
  meter.state = prony_meter::stopped;
  give_back_spans(meter);
  const auto stopped = meter.meter->stop();
  return stopped ? 0 : tell(stopped.error());
}

int no_run_yet() { return tell(WrongState{"nothing has been measured yet", "Call prony_meter_start() first."}); }

// The Run so far, for one answer.
template <class Answer>
int with_run(prony_meter* meter, Answer&& answer) {
  if (meter->state == prony_meter::opened) return no_run_yet();
  auto run = open_run(meter->meter->path());
  return run ? answer(**run) : tell(run.error());
}

}  // namespace

}  // namespace prony::library

using namespace prony::library;

#define PRONY_EXPORT __attribute__((visibility("default")))

extern "C" {

PRONY_EXPORT uint32_t prony_meter_abi_version(void) { return PRONY_METER_ABI_VERSION; }

PRONY_EXPORT const char* prony_meter_version(void) { return PRONY_VERSION; }

PRONY_EXPORT int prony_meter_open(const prony_meter_options* options, prony_meter** meter) {
  return guard([&] {
    if (meter == nullptr) return tell_missing("meter");
    *meter = nullptr;
    return open_meter(options, meter);
  });
}

PRONY_EXPORT int prony_meter_start(prony_meter* meter) {
  return guard([&] {
    if (meter == nullptr) return tell_missing("meter");
    if (const char* why = why_not(meter)) return tell(WrongState{why, {}});
    if (meter->state != prony_meter::opened)
      return tell(WrongState{"the meter was started before", "Open another one: each makes a Run of its own."});
    const auto started = meter->meter->start();
    meter->state = started ? prony_meter::running : prony_meter::stopped;
    if (!started) return tell(started.error());
    take_spans(*meter);
    return 0;
  });
}

PRONY_EXPORT int prony_meter_stop(prony_meter* meter) {
  return guard([&] {
    if (meter == nullptr) return tell_missing("meter");
    if (const char* why = why_not(meter)) return tell(WrongState{why, {}});
    return stop_meter(*meter);
  });
}

PRONY_EXPORT int prony_meter_close(prony_meter* meter) {
  return guard([&] {
    if (meter == nullptr) return 0;
    // In a forked child nothing of it may be touched: its threads are not there to be waited for.
    if (const char* why = why_not(meter)) return tell(WrongState{why, {}});
    const int stopped = meter->state == prony_meter::running ? stop_meter(*meter) : 0;
    delete meter;
    return stopped;
  });
}

PRONY_EXPORT const char* prony_meter_path(const prony_meter* meter) {
  return meter == nullptr || meter->meter->path().empty() ? nullptr : meter->meter->path().c_str();
}

PRONY_EXPORT int prony_meter_run(prony_meter* meter, prony_run** run) {
  return guard([&] {
    if (meter == nullptr || run == nullptr) return tell_missing(meter == nullptr ? "meter" : "run");
    *run = nullptr;
    if (meter->state == prony_meter::opened) return no_run_yet();
    auto opened = open_run(meter->meter->path());
    if (!opened) return tell(opened.error());
    *run = opened->release();
    return 0;
  });
}

PRONY_EXPORT int prony_meter_stats(prony_meter* meter, struct ArrowSchema* schema, struct ArrowArray* array) {
  return guard([&] {
    if (meter == nullptr || schema == nullptr || array == nullptr) return tell_missing("meter, schema or array");
    return with_run(meter, [&](prony_run& run) {
      const auto made = make_arrow_table(*run.run, "samples", *schema, *array);
      return made ? 0 : tell(made.error());
    });
  });
}

PRONY_EXPORT int prony_meter_summary(prony_meter* meter, prony_summary** summary) {
  return guard([&] {
    if (meter == nullptr || summary == nullptr) return tell_missing(meter == nullptr ? "meter" : "summary");
    *summary = nullptr;
    return with_run(meter, [&](prony_run& run) { return prony_run_summary(&run, summary); });
  });
}

}  // extern "C"
