// CSV while it happens: a header with units, then a row each interval, columns in a fixed order. RFC 4180 as `csv` has
// it; an absent value is an empty field.
#include <cmath>
#include <optional>
#include <string>

#include "base/text.hpp"
#include "sinks/append_file.hpp"
#include "sinks/stream.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

constexpr std::string_view first_columns = "utc,monotonic_ns,dropped_frames";

class CsvStream final : public StreamSink {
 public:
  CsvStream(std::string path, TurnOver turn_over) : path_(std::move(path)), turn_over_(turn_over) {}

  Result<void> open(const StreamHead& head) override {
    std::string header(first_columns);
    for (const Series& series : head.series) header += "," + csv_field(valid_text(series.name));
    auto file = AppendFile::open(path_, header, std::string(first_columns), "\r\n", turn_over_, head.wall_ns);
    if (!file) return Unexpected<Error>(file.error());
    file_.emplace(std::move(*file));
    return {};
  }

  Result<void> write(const Frame& frame) override {
    line_ = format_utc(frame.wall_ns) + "," + std::to_string(frame.at.ns) + "," + std::to_string(frame.dropped);
    for (const auto& value : frame.values) {
      line_ += ',';
      if (value && std::isfinite(*value)) line_ += format_number(*value);
    }
    return file_->append(line_, frame.wall_ns);
  }

  Result<void> close() override { return file_ ? file_->close() : Result<void>(); }
  std::vector<std::string> notes() override { return file_ ? file_->take_notes() : std::vector<std::string>(); }

 private:
  std::string path_;
  TurnOver turn_over_;
  std::optional<AppendFile> file_;
  std::string line_;
};

}  // namespace

Result<std::unique_ptr<StreamSink>> make_csv_stream(const SinkSpec& spec) {
  auto turn_over = turn_over_of(spec);
  if (!turn_over) return Unexpected<Error>(turn_over.error());
  if (spec.target.empty())
    return fail(ErrorCode::usage, "no file is named", "--sink " + spec.text, "Write --sink csv:out.csv (or csv:-)");
  return std::make_unique<CsvStream>(spec.target, *turn_over);
}

}  // namespace prony
