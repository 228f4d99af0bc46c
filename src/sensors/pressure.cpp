// pressure: how long tasks waited for CPU, memory or I/O (PSI).
// reads       /proc/pressure/{cpu,memory,io,irq}: `total=` of the lines some and full, one pread per file
// unit        µs of wall time, counters;  period about 2 s for the averages, each read brings the totals up to date
// wrap        64-bit, never;  privilege none;  part_of nothing
// source      Documentation/accounting/psi.rst; kernel/sched/psi.c (psi_show collects the totals before it prints)
#include "base/text.hpp"
#include "sensors/rows.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

// "some avg10=0.10 avg60=2.00 avg300=3.85 total=15" → 15.
std::optional<std::int64_t> total_of(std::string_view text, std::string_view word) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ') continue;
    const auto total = line.find(" total=");
    if (total == std::string_view::npos) return std::nullopt;
    return number_in_line(line.substr(total + 7), 0);
  }
  return std::nullopt;
}

// Why there is no /proc/pressure, in words: the kernel makes the folder only where PSI runs.
Unavailable why_absent(Machine& machine) {
  const auto line = " " + machine.read_text("/proc/cmdline").value_or(std::string()) + " ";
  const std::string cure = "boot with psi=1 on the kernel's command line";
  if (line.find(" psi=0 ") != std::string::npos || line.find(" psi=off ") != std::string::npos)
    return {"pressure", "pressure stall information is switched off by psi=0 on the kernel's command line", cure};
  return {"pressure", "no /proc/pressure: the kernel is older than 4.20, built without PSI, or has it off by default",
          cure + ", if it was built with CONFIG_PSI"};
}

}  // namespace

Probe make_pressure(Machine& machine, const SensorOptions&) {
  TextSensorBuilder builder(machine);
  for (const std::string resource : {"cpu", "memory", "io", "irq"}) {
    const auto path = "/proc/pressure/" + resource;
    if (!machine.exists(path)) continue;
    std::vector<TextField> fields;
    for (const std::string word : {"some", "full"}) {
      // Of the whole machine, "full" of cpu is not defined and always 0; irq has only "full".
      if ((resource == "cpu" && word == "full") || (resource == "irq" && word == "some")) continue;
      Channel channel;
      channel.sensor = "pressure";
      channel.domain = resource;
      channel.name = "pressure." + resource + "." + word;
      channel.measure = Measure::time;
      channel.kind = ChannelKind::counter;
      channel.scale = 1e-6;
      fields.push_back({std::move(channel), [word](std::string_view text) { return total_of(text, word); }});
    }
    builder.add(path, std::move(fields),
                "pressure stall information may be switched off: boot with psi=1 on the kernel's command line");
  }
  if (builder.size() == 0 && builder.unavailable().empty()) builder.unavailable().push_back(why_absent(machine));
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
