// memory: what of the machine's memory and swap is used, and what moved between them.
// reads       /proc/meminfo, once for all: used = MemTotal − MemAvailable, available = MemAvailable, swap used =
//             SwapTotal − SwapFree (left out where there is no swap); /proc/vmstat: pswpin, pswpout (pages)
// unit        bytes, gauges (the file's "kB" are KiB); swapped in and out are counters
// period      at every read;  privilege none;  part_of nothing
// source      Documentation/filesystems/proc.rst (MemAvailable since Linux 3.14)
#include <optional>

#include "sensors/rows.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

std::optional<std::int64_t> bytes_of_line(std::string_view text, std::string_view key) noexcept {
  const auto kib = number_of_line(text, key, " kB");
  if (!kib || *kib > INT64_MAX / 1024) return std::nullopt;
  return *kib * 1024;
}

// The part of a total that is not free; both must be there and fit together.
std::optional<std::int64_t> used_of(std::string_view text, std::string_view total, std::string_view rest) noexcept {
  const auto all = bytes_of_line(text, total);
  const auto left = bytes_of_line(text, rest);
  if (!all || !left || *left > *all) return std::nullopt;
  return *all - *left;
}

Channel memory_channel(std::string name, Measure measure, double step_bytes) {
  Channel channel;
  channel.name = std::move(name);
  channel.sensor = "memory";
  channel.domain = channel.name.find("swap") == std::string::npos ? "memory" : "swap";
  channel.measure = measure;
  channel.resolution = step_bytes;
  return channel;
}

// The kernel does not tell the size of its pages in these files; KernelPageSize of any mapping does.
std::optional<std::int64_t> page_bytes(Machine& machine) {
  const auto maps = machine.read_text("/proc/self/smaps");
  return maps ? bytes_of_line(*maps, "KernelPageSize:") : std::nullopt;
}

}  // namespace

Probe make_memory(Machine& machine, const SensorOptions&) {
  TextSensorBuilder builder(machine);
  std::vector<TextField> fields;
  fields.push_back({memory_channel("memory.used", Measure::memory, 1024),
                    [](std::string_view text) { return used_of(text, "MemTotal:", "MemAvailable:"); }});
  fields.push_back({memory_channel("memory.available", Measure::memory, 1024), [](std::string_view text) {
                      return used_of(text, "MemTotal:", "MemAvailable:") ? bytes_of_line(text, "MemAvailable:")
                                                                         : std::nullopt;
                    }});
  const auto text = machine.read_text("/proc/meminfo");
  const auto swap = text ? bytes_of_line(*text, "SwapTotal:") : std::nullopt;
  if (swap && *swap > 0)
    fields.push_back({memory_channel("memory.swap_used", Measure::memory, 1024),
                      [](std::string_view now) { return used_of(now, "SwapTotal:", "SwapFree:"); }});
  builder.add("/proc/meminfo", std::move(fields));
  const auto page = swap && *swap > 0 ? page_bytes(machine) : std::nullopt;
  if (page && *page > 0) {
    std::vector<TextField> moved;
    for (const std::string key : {"pswpin", "pswpout"}) {
      auto channel = memory_channel(key == "pswpin" ? "memory.swapped_in" : "memory.swapped_out", Measure::data, 1);
      channel.kind = ChannelKind::counter;
      channel.scale = static_cast<double>(*page);
      moved.push_back({std::move(channel), [key](std::string_view now) { return number_of_line(now, key); }});
    }
    builder.add("/proc/vmstat", std::move(moved));
  }
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
