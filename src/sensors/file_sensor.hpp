// FileSensor: a sensor whose channels are integers in kept-open files, or the product of two (volts × amperes). rapl,
// hwmon, thermal and cpufreq are lists of such channels.
// Thread promise: as Sensor. Ownership: owns its files; the Machine must outlive it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sensors/integer_file.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct FileSource {
  IntegerFile first;
  std::optional<IntegerFile> second;  // set: the reading is first × second
};

class FileSensor final : public Sensor {
 public:
  FileSensor(LaneKind lane, std::vector<Channel> channels, std::vector<FileSource> sources)
      : lane_(lane), channels_(std::move(channels)), sources_(std::move(sources)) {}

  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Unavailable> complaints() override;

 private:
  LaneKind lane_;
  std::vector<Channel> channels_;
  std::vector<FileSource> sources_;
};

// How long `read` takes by the machine's clock; made again, up to 8 times, where others took the processor from it
// while it did not wait for anything.
[[nodiscard]] Duration time_of_read(Machine& machine, const std::function<void()>& read);
inline constexpr Duration fast_enough{100'000};  // a read that takes longer is not for the fast lane

// Collects the channels of a FileSensor while probing: each is opened and read once, and what does not work is noted
// with its reason instead of being added.
class FileSensorBuilder {
 public:
  explicit FileSensorBuilder(Machine& machine) : machine_(machine) {}

  // True: added, at index size() − 1. `remedy` goes into the note when the file is there but this user may not read it.
  // Files that are gone or that the driver does not answer (ENODATA, EOPNOTSUPP) are noted; EIO and rubbish are taken
  // for a bad moment: the channel is kept and starts with a gap.
  bool add(Channel channel, const std::string& path, const std::string& remedy = {});
  bool add_product(Channel channel, const std::string& first, const std::string& second);

  [[nodiscard]] std::size_t size() const noexcept { return channels_.size(); }
  [[nodiscard]] std::vector<Channel>& channels() noexcept { return channels_; }
  [[nodiscard]] std::vector<Unavailable>& unavailable() noexcept { return unavailable_; }
  [[nodiscard]] bool denied() const noexcept { return denied_; }
  // True if `name` is already a channel's.
  [[nodiscard]] bool has(std::string_view name) const;
  // Time of one read of all channels, by this machine's clock.
  [[nodiscard]] Duration read_time();

  // Gives the channels their ids, which are their places.
  void number() noexcept;
  // Numbers the channels and hands all over; no channel: no sensor.
  [[nodiscard]] Probe finish(LaneKind lane);

 private:
  std::optional<IntegerFile> try_open(const Channel& channel, const std::string& path, const std::string& remedy);

  Machine& machine_;
  std::vector<Channel> channels_;
  std::vector<FileSource> sources_;
  std::vector<Unavailable> unavailable_;
  bool denied_ = false;
};

// A name part for channels: white space, dots, slashes, quotes and what is not ASCII become '-', so that names split at
// dots and need no quoting; at most 64 characters.
[[nodiscard]] std::string name_part(std::string_view text);

// An integer from a file that is read only while probing; nullopt: not there or not an integer.
[[nodiscard]] std::optional<std::int64_t> probe_integer(Machine& machine, const std::string& path);

}  // namespace prony
