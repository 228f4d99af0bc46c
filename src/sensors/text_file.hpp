// TextFile: a kept-open text that holds several values (/proc/meminfo, a cgroup's cpu.stat), read whole by one pread.
// TextSensor: a sensor whose channels are fields of such texts; each text is read once per tick, whatever its fields.
// Thread promise: as Sensor; complaints from any one thread. Ownership: owns its files; the Machine must outlive it.
// Errors: a text that cannot be read, or lacks a field, is a gap of the channels concerned, with the reason.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sensors/sensor.hpp"

namespace prony {

// The most of a text that is looked at: one page, which is also the most that the kernel gives to one pread of /proc.
inline constexpr std::size_t sensor_text_bytes = 4096;
using TextBuffer = std::array<char, sensor_text_bytes>;

class TextFile {
 public:
  [[nodiscard]] static Result<TextFile> open(Machine& machine, const std::string& path);

  // The text now, whole lines only; empty: it cannot be read. After a failure it is opened again, at most once a
  // second. No allocation.
  [[nodiscard]] std::string_view read(TextBuffer& buffer) noexcept;
  // The caller found no sense in the text.
  void note_malformed() noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Why reads failed since this was last asked; any thread.
  [[nodiscard]] std::optional<Error> take_fault();

 private:
  void note(int fault) noexcept;

  Machine* machine_ = nullptr;
  std::unique_ptr<File> file_;
  std::string path_;
  int untold_ = 0;  // errno, or −1: malformed
  std::int64_t next_reopen_ns_ = INT64_MIN;
};

// One value out of a text; nullopt: not there, or not believable. No allocation.
using TextValue = std::function<std::optional<std::int64_t>(std::string_view text)>;

struct TextField {
  Channel channel;
  TextValue value;
};

// Collects texts and their fields while probing: each is read once, and what does not work is noted with its reason.
class TextSensorBuilder {
 public:
  explicit TextSensorBuilder(Machine& machine) : machine_(machine) {}

  // True: at least one field of the text was found. `remedy` goes into the notes.
  bool add(const std::string& path, std::vector<TextField> fields, const std::string& remedy = {});
  [[nodiscard]] std::vector<Unavailable>& unavailable() noexcept { return unavailable_; }
  [[nodiscard]] std::size_t size() const noexcept { return channels_.size(); }
  [[nodiscard]] Probe finish(LaneKind lane);

  struct Text {
    TextFile file;
    std::vector<TextValue> values;
  };

 private:
  Machine& machine_;
  std::vector<Channel> channels_;
  std::vector<Text> texts_;
  std::vector<Unavailable> unavailable_;
};

// The number after `key` at the beginning of a line ("user_usec 12", "MemTotal:   10 kB"); digits only, at most 2^62.
// `ends_with`: what must follow it on its line, e.g. " kB".
[[nodiscard]] std::optional<std::int64_t> number_of_line(std::string_view text, std::string_view key,
                                                         std::string_view ends_with = {}) noexcept;
// The `index`-th (from 0) number between white space of one line.
[[nodiscard]] std::optional<std::int64_t> number_in_line(std::string_view line, std::size_t index) noexcept;

}  // namespace prony
