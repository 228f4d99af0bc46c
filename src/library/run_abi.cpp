// The half of prony/meter.h that reads Runs.
#include <algorithm>
#include <cstring>

#include "library/arrow_columns.hpp"
#include "library/error.hpp"
#include "library/readings.hpp"
#include "library/run_handle.hpp"
#include "reports/summary_json.hpp"
#include "reports/tables.hpp"

namespace prony::library {

Result<std::unique_ptr<prony_run>> open_run(const std::string& path) {
  auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  auto handle = std::make_unique<prony_run>();
  handle->run = std::move(*run);
  handle->path = handle->run->path().string();
  const auto& channels = handle->run->channels();
  for (const Channel& channel : channels) {
    const auto whole = channel.part_of ? std::ranges::find(channels, *channel.part_of, &Channel::id) : channels.end();
    handle->part_of.push_back(whole == channels.end() ? std::nullopt : std::optional(whole->name));
  }
  return handle;
}

Result<std::unique_ptr<prony_summary>> make_summary(const Run& run) {
  auto summary = summarise(run);
  if (!summary) return Unexpected<Error>(summary.error());
  auto handle = std::make_unique<prony_summary>();
  handle->summary = std::move(*summary);
  handle->rows = joules_of(handle->summary);
  handle->headline = headline_of(handle->summary);
  return handle;
}

Result<void> make_arrow_table(const Run& run, const std::string& name, ArrowSchema& schema, ArrowArray& array) {
  std::unique_ptr<Table> table;
  if (name == "parties") {
    const auto summary = summarise(run);
    if (!summary) return Unexpected<Error>(summary.error());
    table = make_parties_table(*summary);
  } else {
    auto made = make_table(run, name);
    if (!made) return Unexpected<Error>(made.error());
    table = std::move(*made);
  }
  return hand_over(*table, schema, array);
}

namespace {

// What the caller's struct can hold of ours: an older caller has fewer members. False: it is no such struct.
template <class Struct>
bool give(const Struct& ours, Struct* theirs) {
  if (theirs->struct_size < sizeof(std::uint32_t) * 2 || theirs->struct_size > 4096) return false;
  const std::uint32_t size = theirs->struct_size;
  std::memcpy(theirs, &ours, std::min<std::size_t>(size, sizeof ours));
  theirs->struct_size = size;
  return true;
}

int wrong_size() {
  return tell(
      Error{ErrorCode::usage, "struct_size is not the size of this struct", {}, "Set it to sizeof before the call."});
}

int out_of_range() { return tell(Error{ErrorCode::usage, "there is no such index", {}, "Ask for the count first."}); }

const char* text_or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

prony_joules joules_struct(const JoulesRow& row) {
  prony_joules out{};
  out.present = row.joules ? 1 : 0;
  out.headline = row.headline ? 1 : 0;
  out.resolvable = row.resolvable ? 1 : 0;
  out.channel = row.channel.c_str();
  out.domain = row.domain.c_str();
  out.party = row.party.c_str();
  out.target = row.target ? row.target->c_str() : nullptr;
  out.origin = row.origin.c_str();
  out.kind = text_or_null(row.kind);
  out.absent = text_or_null(row.absent);
  if (row.joules) out.value_j = row.joules->value, out.low_j = row.joules->low, out.high_j = row.joules->high;
  return out;
}

std::uint32_t channel_flags(const Channel& channel) {
  std::uint32_t flags = channel.origin == Origin::measured  ? PRONY_CHANNEL_MEASURED
                        : channel.origin == Origin::derived ? PRONY_CHANNEL_DERIVED
                                                            : PRONY_CHANNEL_MODELLED;
  if (channel.kind == ChannelKind::counter) flags |= PRONY_CHANNEL_COUNTER;
  if (gives_energy(channel)) flags |= PRONY_CHANNEL_ENERGY;
  return flags;
}

}  // namespace

}  // namespace prony::library

using namespace prony::library;

#define PRONY_EXPORT __attribute__((visibility("default")))

extern "C" {

PRONY_EXPORT int prony_run_open(const char* path, prony_run** run) {
  return guard([&] {
    if (path == nullptr || run == nullptr) return tell_missing(run == nullptr ? "run" : "path");
    *run = nullptr;
    auto opened = open_run(path);
    if (!opened) return tell(opened.error());
    *run = opened->release();
    return 0;
  });
}

PRONY_EXPORT void prony_run_close(prony_run* run) { delete run; }

PRONY_EXPORT int prony_run_state(const prony_run* run) {
  if (run == nullptr) return -1;
  switch (run->run->state()) {
    case prony::RunState::recording: return PRONY_RUN_RECORDING;
    case prony::RunState::complete: return PRONY_RUN_COMPLETE;
    case prony::RunState::interrupted: return PRONY_RUN_INTERRUPTED;
  }
  return -1;
}

PRONY_EXPORT const char* prony_run_path(const prony_run* run) { return run == nullptr ? nullptr : run->path.c_str(); }

PRONY_EXPORT const char* prony_run_fact(const prony_run* run, const char* key) {
  if (run == nullptr || key == nullptr) return nullptr;
  const char* found = nullptr;
  for (const prony::Fact& fact : run->run->manifest().facts)
    if (fact.key == key) found = fact.value.c_str();
  return found;
}

PRONY_EXPORT uint64_t prony_run_spans_lost(const prony_run* run) { return run == nullptr ? 0 : run->run->spans_lost(); }

PRONY_EXPORT size_t prony_run_channel_count(const prony_run* run) {
  return run == nullptr ? 0 : run->run->channels().size();
}

PRONY_EXPORT int prony_run_channel(const prony_run* run, size_t index, prony_channel* channel) {
  return guard([&] {
    if (run == nullptr || channel == nullptr) return tell_missing(run == nullptr ? "run" : "channel");
    if (index >= run->run->channels().size()) return out_of_range();
    const prony::Channel& from = run->run->channels()[index];
    prony_channel out{};
    out.flags = channel_flags(from);
    out.name = from.name.c_str();
    out.sensor = from.sensor.c_str();
    out.device = from.device.c_str();
    out.domain = from.domain.c_str();
    out.measure = prony::to_string(from.measure).data();  // literals: they end with a zero
    out.unit = prony::unit_of(from.measure).data();
    out.part_of = run->part_of[index] ? run->part_of[index]->c_str() : nullptr;
    out.scale = from.scale;
    return give(out, channel) ? 0 : wrong_size();
  });
}

PRONY_EXPORT size_t prony_run_span_count(const prony_run* run) { return run == nullptr ? 0 : run->run->spans().size(); }

PRONY_EXPORT int prony_run_span(const prony_run* run, size_t index, prony_span_record* span) {
  return guard([&] {
    if (run == nullptr || span == nullptr) return tell_missing(run == nullptr ? "run" : "span");
    if (index >= run->run->spans().size()) return out_of_range();
    const prony::Span& from = run->run->spans()[index];
    prony_span_record out{};
    out.kind = static_cast<std::int32_t>(from.kind);
    out.status = static_cast<std::int32_t>(from.status);
    out.thread = from.thread;
    out.id = from.id.value;
    out.parent = from.parent.value;
    out.begin_ns = from.interval.begin.ns;
    out.end_ns = from.interval.end.ns;
    out.pid = from.pid;
    out.name = from.name.c_str();
    return give(out, span) ? 0 : wrong_size();
  });
}

PRONY_EXPORT int prony_run_span_value(const prony_run* run, size_t index, const char* key, int64_t* value) {
  return guard([&] {
    if (run == nullptr || key == nullptr || value == nullptr) return tell_missing("run, key or value");
    if (index >= run->run->spans().size()) return out_of_range();
    const auto found = run->run->spans()[index].count(key);
    if (!found) return tell(prony::Error{prony::ErrorCode::absent, "the span has no such count", key, {}});
    *value = *found;
    return 0;
  });
}

PRONY_EXPORT int prony_run_span_text(const prony_run* run, size_t index, const char* key, const char** text) {
  return guard([&] {
    if (run == nullptr || key == nullptr || text == nullptr) return tell_missing("run, key or text");
    if (index >= run->run->spans().size()) return out_of_range();
    for (const auto& [name, value] : run->run->spans()[index].attributes)
      if (name == key) return *text = value.c_str(), 0;
    return tell(prony::Error{prony::ErrorCode::absent, "the span has no such attribute", key, {}});
  });
}

PRONY_EXPORT int prony_run_table(prony_run* run, const char* table, struct ArrowSchema* schema,
                                 struct ArrowArray* array) {
  return guard([&] {
    if (run == nullptr || table == nullptr) return tell_missing(run == nullptr ? "run" : "table");
    if (schema == nullptr || array == nullptr) return tell_missing("schema or array");
    const auto made = make_arrow_table(*run->run, table, *schema, *array);
    return made ? 0 : tell(made.error());
  });
}

PRONY_EXPORT int prony_run_readings(prony_run* run, const char* channel, int64_t from_ns, int64_t to_ns,
                                    struct ArrowArrayStream* stream) {
  return guard([&] {
    if (run == nullptr || channel == nullptr) return tell_missing(run == nullptr ? "run" : "channel");
    if (stream == nullptr) return tell_missing("stream");
    const auto made = stream_readings(*run->run, channel, {{from_ns}, {to_ns}}, *stream);
    return made ? 0 : tell(made.error());
  });
}

PRONY_EXPORT int prony_run_summary(prony_run* run, prony_summary** summary) {
  return guard([&] {
    if (run == nullptr || summary == nullptr) return tell_missing(run == nullptr ? "run" : "summary");
    *summary = nullptr;
    auto made = make_summary(*run->run);
    if (!made) return tell(made.error());
    *summary = made->release();
    return 0;
  });
}

PRONY_EXPORT void prony_summary_free(prony_summary* summary) { delete summary; }

PRONY_EXPORT size_t prony_summary_count(const prony_summary* summary) {
  return summary == nullptr ? 0 : summary->rows.size();
}

PRONY_EXPORT int prony_summary_joules(const prony_summary* summary, size_t index, prony_joules* joules) {
  return guard([&] {
    if (summary == nullptr || joules == nullptr) return tell_missing(summary == nullptr ? "summary" : "joules");
    if (index >= summary->rows.size()) return out_of_range();
    return give(joules_struct(summary->rows[index]), joules) ? 0 : wrong_size();
  });
}

PRONY_EXPORT int prony_summary_headline(const prony_summary* summary, prony_joules* joules) {
  return guard([&] {
    if (summary == nullptr || joules == nullptr) return tell_missing(summary == nullptr ? "summary" : "joules");
    if (!summary->headline)
      return tell(prony::Error{prony::ErrorCode::absent, "no channel of the Run gives joules", summary->summary.path,
                               "`prony sensors` says what could be measured here, and how."});
    return give(joules_struct(*summary->headline), joules) ? 0 : wrong_size();
  });
}

PRONY_EXPORT int prony_summary_window(const prony_summary* summary, int64_t* begin_ns, int64_t* end_ns) {
  return guard([&] {
    if (summary == nullptr || begin_ns == nullptr || end_ns == nullptr) return tell_missing("summary, begin or end");
    if (summary->summary.window == prony::Interval{})
      return tell(prony::Error{prony::ErrorCode::absent, "nothing of the measured window is on record yet",
                               summary->summary.path, "Ask again: a Run lags by up to a second."});
    *begin_ns = summary->summary.window.begin.ns;
    *end_ns = summary->summary.window.end.ns;
    return 0;
  });
}

PRONY_EXPORT int prony_summary_exit(const prony_summary* summary, int* code, int* signal) {
  return guard([&] {
    if (summary == nullptr || code == nullptr || signal == nullptr) return tell_missing("summary, code or signal");
    const prony::Summary& s = summary->summary;
    if (!s.exit_code)
      return tell(prony::Error{prony::ErrorCode::absent, "no end of what was measured is in the Run", s.path, {}});
    *code = static_cast<int>(*s.exit_code);
    *signal = static_cast<int>(s.exit_signal.value_or(0));
    return 0;
  });
}

PRONY_EXPORT const char* prony_summary_json(prony_summary* summary) {
  if (summary == nullptr) return nullptr;
  const int code = guard([&] {
    if (summary->json.empty()) summary->json = prony::to_json(summary->summary).dump(2);
    return 0;
  });
  return code == 0 ? summary->json.c_str() : nullptr;
}

}  // extern "C"
