#include "sensors/file_sensor.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "base/text.hpp"

namespace prony {

void FileSensor::read(std::span<Reading> out) noexcept {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    auto& source = sources_[i];
    out[i] = source.first.read();
    if (!source.second) [[likely]]
      continue;
    const auto second = source.second->read();
    if (out[i].quality == Quality::gap || second.quality == Quality::gap ||
        __builtin_mul_overflow(out[i].raw, second.raw, &out[i].raw))
      out[i] = {0, Quality::gap};
  }
}

std::vector<Unavailable> FileSensor::complaints() {
  std::vector<Unavailable> result;
  const auto note = [&](const Channel& channel, IntegerFile& file) {
    if (const auto fault = file.take_fault())
      result.push_back({channel.name, fault->where + ": " + fault->what, fault->fix});
  };
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    note(channels_[i], sources_[i].first);
    if (sources_[i].second) note(channels_[i], *sources_[i].second);
  }
  return result;
}

std::optional<IntegerFile> FileSensorBuilder::try_open(const Channel& channel, const std::string& path,
                                                       const std::string& remedy) {
  const auto sign = channel.kind == ChannelKind::counter ? IntegerSign::unsigned_64 : IntegerSign::signed_64;
  auto file = IntegerFile::open(machine_, path, sign);
  std::optional<Error> error;
  if (!file) {
    error = file.error();
  } else if (file->read().quality == Quality::gap) {
    error = file->fault();
    if (error && (error->code == ErrorCode::transient || error->code == ErrorCode::malformed)) error.reset();
  }
  if (!error) {
    (void)file->take_fault();  // what a trial read met is not part of a Run
    return std::move(*file);
  }
  const bool is_denied = error->code == ErrorCode::denied;
  denied_ = denied_ || is_denied;
  unavailable_.push_back({channel.name, path + ": " + error->what, is_denied ? remedy : error->fix});
  return std::nullopt;
}

bool FileSensorBuilder::add(Channel channel, const std::string& path, const std::string& remedy) {
  auto file = try_open(channel, path, remedy);
  if (!file) return false;
  channels_.push_back(std::move(channel));
  sources_.push_back({std::move(*file), std::nullopt});
  return true;
}

bool FileSensorBuilder::add_product(Channel channel, const std::string& first, const std::string& second) {
  auto left = try_open(channel, first, {});
  if (!left) return false;
  auto right = try_open(channel, second, {});
  if (!right) return false;
  channels_.push_back(std::move(channel));
  sources_.push_back({std::move(*left), std::move(*right)});
  return true;
}

bool FileSensorBuilder::has(std::string_view name) const {
  return std::any_of(channels_.begin(), channels_.end(), [&](const Channel& channel) { return channel.name == name; });
}

Duration time_of_read(Machine& machine, const std::function<void()>& read) {
  constexpr int most_tries = 8;
  const auto switches = [] {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return std::pair(usage.ru_nivcsw, usage.ru_nvcsw);
  };
  Duration took;
  for (int attempt = 0; attempt < most_tries; ++attempt) {
    const auto [taken, given] = switches();
    const auto begin = machine.now();
    read();
    took = machine.now() - begin;
    const auto [taken_now, given_now] = switches();
    // A read that waits for a slow bus lets others run of its own accord; the next one may be out of a cache.
    if (taken_now == taken || given_now != given) break;
  }
  return took;
}

Duration FileSensorBuilder::read_time() {
  return time_of_read(machine_, [this] {
    for (auto& source : sources_) {
      (void)source.first.read();
      if (source.second) (void)source.second->read();
    }
  });
}

void FileSensorBuilder::number() noexcept {
  for (std::size_t i = 0; i < channels_.size(); ++i) channels_[i].id = {static_cast<std::uint32_t>(i)};
}

Probe FileSensorBuilder::finish(LaneKind lane) {
  Probe probe;
  number();
  if (!channels_.empty()) probe.sensor = std::make_unique<FileSensor>(lane, std::move(channels_), std::move(sources_));
  probe.unavailable = std::move(unavailable_);
  return probe;
}

std::string name_part(std::string_view text) {
  // The longest label of a kernel driver has some 20 characters; what is longer is cut, not carried into every table.
  constexpr std::size_t longest = 64;
  std::string result;
  for (const char c : trim(text).substr(0, longest)) {
    const auto code = static_cast<unsigned char>(c);
    const bool plain = code > ' ' && code < 127 && c != '.' && c != '/' && c != ',' && c != '"';
    result += plain ? c : '-';
  }
  return result.empty() ? "unnamed" : result;
}

std::optional<std::int64_t> probe_integer(Machine& machine, const std::string& path) {
  const auto text = machine.read_text(path);
  return text ? parse_i64(*text) : std::nullopt;
}

}  // namespace prony
