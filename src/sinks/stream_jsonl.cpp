// JSON Lines while it happens. The first line of a file says what its keys are, with units, device, domain, origin and
// target; then an object each interval, keys in that order. An absent value is left out, never null.
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/text.hpp"
#include "sinks/append_file.hpp"
#include "sinks/series_json.hpp"
#include "sinks/stream.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

constexpr std::string_view family = "{\"prony_monitor\":1,";

class JsonlStream final : public StreamSink {
 public:
  JsonlStream(std::string path, TurnOver turn_over) : path_(std::move(path)), turn_over_(turn_over) {}

  Result<void> open(const StreamHead& head) override {
    nlohmann::ordered_json header;
    header["prony_monitor"] = 1;  // number of this format; must stay the first key
    header["host"] = valid_text(head.host);
    if (!head.simulated.empty()) header["simulated"] = valid_text(head.simulated);
    header["interval_s"] = head.interval.seconds().value();
    header["series"] = nlohmann::ordered_json::array();
    for (const Series& series : head.series) {
      header["series"].push_back(described(series));
      keys_.push_back("," + nlohmann::json(valid_text(series.name)).dump() + ":");
    }
    auto file = AppendFile::open(path_, header.dump(), std::string(family), "\n", turn_over_, head.wall_ns);
    if (!file) return Unexpected<Error>(file.error());
    file_.emplace(std::move(*file));
    return {};
  }

  Result<void> write(const Frame& frame) override {
    line_ = "{\"utc\":\"" + format_utc(frame.wall_ns) + "\",\"monotonic_ns\":" + std::to_string(frame.at.ns) +
            ",\"dropped_frames\":" + std::to_string(frame.dropped);
    for (std::size_t i = 0; i < frame.values.size() && i < keys_.size(); ++i) {
      const auto& value = frame.values[i];
      if (value && std::isfinite(*value)) line_ += keys_[i] + format_number(*value);
    }
    line_ += '}';
    return file_->append(line_, frame.wall_ns);
  }

  Result<void> close() override { return file_ ? file_->close() : Result<void>(); }
  std::vector<std::string> notes() override { return file_ ? file_->take_notes() : std::vector<std::string>(); }

 private:
  std::string path_;
  TurnOver turn_over_;
  std::vector<std::string> keys_;  // ,"name":
  std::optional<AppendFile> file_;
  std::string line_;
};

}  // namespace

Result<std::unique_ptr<StreamSink>> make_jsonl_stream(const SinkSpec& spec) {
  auto turn_over = turn_over_of(spec);
  if (!turn_over) return Unexpected<Error>(turn_over.error());
  if (spec.target.empty())
    return fail(ErrorCode::usage, "no file is named", "--sink " + spec.text,
                "Write --sink jsonl:out.jsonl (or jsonl:-)");
  return std::make_unique<JsonlStream>(spec.target, *turn_over);
}

}  // namespace prony
