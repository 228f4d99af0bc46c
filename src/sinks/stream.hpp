// StreamSink: takes what a monitor tells while it happens, one Frame after the other, until it is closed. What a
// frame's values are is fixed when the sink is opened. Thread promise: one thread at a time (its own: see
// app/sink_runner.hpp), so a sink may wait as long as it must. Ownership: a sink keeps copies of what it needs. Errors:
// of open(): what is wrong with the words or the place, nothing is begun; of write(): this frame is lost to this sink,
// the next may work.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/time.hpp"

namespace prony {

// What one value of a frame is.
enum class SeriesKind {
  reading,       // of the channel: a gauge's newest; of a counter what it advanced since the monitor began
  power,         // mean watts of an energy-giving channel since the frame before
  gross,         // joules of an energy-giving channel since the monitor began
  token_rate,    // output tokens a second, all servers whose counters are read together
  token_energy,  // gross joules of an energy-giving channel per output token that those counted; both over one minute
  charged,       // of those, what `target` is charged; "others", "prony" and "unattributed" are targets too
};

struct Series {
  std::string name;  // unique, with its unit: "rapl.package-0.gross_j"
  SeriesKind kind = SeriesKind::reading;
  Channel channel;          // what it is of; its target for channels of scope target
  std::string target = {};  // whose: kind charged, and channels of scope target or prony; "": the host's
  // Never falls while the monitor runs, whatever wraps or restarts below.
  [[nodiscard]] bool counter() const noexcept {
    return kind == SeriesKind::gross || kind == SeriesKind::charged ||
           (kind == SeriesKind::reading && channel.kind == ChannelKind::counter);
  }
};

struct StreamHead {
  std::string host;
  std::string version;       // of Prony
  std::int64_t wall_ns = 0;  // begin of the monitor
  Duration interval;         // between two frames
  std::string simulated;     // the simulated machine's name: no joule is real; "": a real machine
  std::vector<Series> series;
};

// What was asked of models, and what it cost, since the monitor began. Joules are those that were charged to the
// requests that have some: `without_joules` have none (too short to tell, or not this machine's).
struct RequestCount {
  std::string model;    // bounded by who counts: beyond its most it is "other"
  std::string outcome;  // "ok", "failed", "cancelled"
  std::string where;    // "local", "elsewhere"
  std::string origin;   // of the joules: "measured", "modelled"; "": there are none
  std::uint64_t requests = 0, without_joules = 0;
  double prompt_tokens = 0, output_tokens = 0, charged_j = 0;
};

struct Frame {
  Instant at;                                 // monotonic clock of the host; every value is at most one interval older
  std::int64_t wall_ns = 0;                   // the same by the wall clock
  std::uint64_t dropped = 0;                  // frames before this one that this sink did not get
  std::vector<std::optional<double>> values;  // as many as StreamHead::series; absent: there is none now
  std::vector<RequestCount> requests = {};    // of a proxy; told by sinks that have labels
};

class StreamSink {
 public:
  virtual ~StreamSink() = default;
  [[nodiscard]] virtual Result<void> open(const StreamHead& head) = 0;
  [[nodiscard]] virtual Result<void> write(const Frame& frame) = 0;
  // Writes what it still holds; nothing comes afterwards.
  [[nodiscard]] virtual Result<void> close() = 0;
  // What the user should know of, since the last call: "cut a torn line of 17 bytes off out.csv". May be empty.
  [[nodiscard]] virtual std::vector<std::string> notes() = 0;
};

// "csv:out.csv,rotate-size=10MB" → kind "csv", target "out.csv", options {"rotate-size", "10MB"}.
struct SinkSpec {
  std::string kind;
  std::string target;  // may be empty
  std::map<std::string, std::string> options;
  std::string text;  // as it was written, for messages
};
// Errors: usage, with the form.
[[nodiscard]] Result<SinkSpec> parse_sink_spec(std::string_view text);
// Error usage if the spec has an option that is not among `known`; names the nearest.
[[nodiscard]] Result<void> check_options(const SinkSpec& spec, std::span<const std::string_view> known);
// "10MB", "64KiB", "1000000" → bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

using StreamMaker = Result<std::unique_ptr<StreamSink>> (*)(const SinkSpec& spec);
[[nodiscard]] Result<std::unique_ptr<StreamSink>> make_csv_stream(const SinkSpec& spec);
[[nodiscard]] Result<std::unique_ptr<StreamSink>> make_jsonl_stream(const SinkSpec& spec);
[[nodiscard]] Result<std::unique_ptr<StreamSink>> make_prometheus_stream(const SinkSpec& spec);
[[nodiscard]] Result<std::unique_ptr<StreamSink>> make_remote_stream(const SinkSpec& spec);

struct StreamRow {
  std::string_view name;  // what --sink takes before its colon
  std::string_view form;  // "csv:FILE"
  std::string_view help;
  StreamMaker make;  // null: the Run file, which the monitor's recorder writes
};
// Every stream sink of this build.
[[nodiscard]] std::span<const StreamRow> stream_catalogue() noexcept;
// Errors (usage): no such kind; `fix` names the nearest one and all of them.
[[nodiscard]] Result<const StreamRow*> find_stream(std::string_view kind);

}  // namespace prony
