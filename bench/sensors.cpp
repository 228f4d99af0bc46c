// bench_sensors: what each sensor of the catalogue costs on this machine: CPU time of one read() of all its channels,
// and of one changes() (states that are looked at about once a second), each back to back, median of the rounds. One
// JSON array on stdout; sensors that find nothing here are in it with the reason.
#include <algorithm>

#include "recording.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

constexpr int rounds = 15;

template <class Call>
double median_ns(int calls, const Call& call) {
  std::vector<double> each;
  for (int round = 0; round < rounds; ++round) {
    const std::int64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < calls; ++i) call();
    each.push_back(static_cast<double>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - from) / calls);
  }
  std::sort(each.begin(), each.end());
  return each[each.size() / 2];
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text)
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= ' ') out += c;
  return out + "\"";
}

}  // namespace

int main() {
  auto machine = make_live_machine({});
  const char* before = "[";
  for (const SensorRow& row : sensor_catalogue()) {
    const std::int64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    Probe probe = row.make(*machine, {});
    const auto probe_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - from;
    std::printf("%s{\"sensor\": \"%s\", \"probe_ns\": %lld", before, std::string(row.name).c_str(),
                static_cast<long long>(probe_ns));
    before = ",\n ";
    if (!probe.sensor) {
      const std::string why = probe.unavailable.empty() ? "nothing to read" : probe.unavailable.front().reason;
      std::printf(", \"why_not\": %s}", quoted(why).c_str());
      continue;
    }
    std::vector<Reading> readings(probe.sensor->channels().size());
    const double read_ns = median_ns(500, [&] { probe.sensor->read(readings); });
    const double changes_ns = median_ns(50, [&] { (void)probe.sensor->changes(); });
    std::printf(", \"channels\": %zu, \"lane\": \"%s\", \"read_ns\": %.1f, \"changes_ns\": %.1f}", readings.size(),
                std::string(to_string(probe.sensor->lane())).c_str(), read_ns, changes_ns);
  }
  std::printf("]\n");
}
