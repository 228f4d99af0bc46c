#include "machine/thread_places.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::int64_t ns_per_user_tick = 10'000'000;  // USER_HZ is 100 in the kernel's promise to programs

std::optional<ThreadStat> read_stat(Machine& machine, const std::string& path) {
  const auto text = machine.read_text(path);
  return text ? parse_thread_stat(*text) : std::nullopt;
}

std::int64_t ticks_before(const ThreadPlaces& places, std::int64_t id) noexcept {
  const auto at = std::lower_bound(places.threads.begin(), places.threads.end(), id,
                                   [](const auto& thread, std::int64_t wanted) { return thread.id < wanted; });
  return at != places.threads.end() && at->id == id ? at->ticks : 0;
}

// What each package got of the ticks since the last look; `places` then knows the threads of now.
std::vector<std::int64_t> ticks_by_package(Machine& machine, const CpuPackages& packages, const std::string& folder,
                                           ThreadPlaces& places) {
  std::vector<std::int64_t> weights(packages.count());
  std::vector<ThreadPlaces::Thread> now;
  for (const std::string& name : machine.list(folder + "task").value_or(std::vector<std::string>{})) {
    const auto id = parse_i64(name);
    const auto stat = id ? read_stat(machine, folder + "task/" + name + "/stat") : std::nullopt;
    if (!stat) continue;
    now.push_back({*id, stat->ticks});
    if (const auto place = packages.place_of(stat->cpu))
      weights[*place] += std::max<std::int64_t>(0, stat->ticks - ticks_before(places, *id));
  }
  std::sort(now.begin(), now.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  places.threads = std::move(now);
  return weights;
}

}  // namespace

std::optional<ThreadStat> parse_thread_stat(std::string_view text) noexcept {
  const auto close = text.rfind(')');  // a name may hold spaces and brackets of its own
  if (close == std::string_view::npos) return std::nullopt;
  auto rest = text.substr(close + 1);
  ThreadStat stat;
  for (int field = 3; field <= 39; ++field) {
    const auto word = next_word(rest);
    if (word.empty()) return std::nullopt;
    const auto number = [&](auto& value) {
      const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
      return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
    };
    std::int64_t ticks = 0;
    bool good = true;
    switch (field) {
      case 14:
      case 15:
        good = number(ticks) && ticks >= 0 && ticks <= INT64_MAX / 4;
        stat.ticks += ticks;
        break;
      case 20: good = number(stat.threads); break;
      case 22: good = number(stat.start_ticks); break;
      case 39: good = number(stat.cpu); break;
      default: break;
    }
    if (!good) return std::nullopt;
  }
  return stat;
}

bool tells_threads(Machine& machine, const std::string& process) {
  return machine.exists("/proc/" + process + "/task");
}

std::optional<std::size_t> last_place(Machine& machine, const CpuPackages& packages, const std::string& process) {
  const auto stat = read_stat(machine, "/proc/" + process + "/stat");
  return stat ? packages.place_of(stat->cpu) : std::nullopt;
}

void place_threads(Machine& machine, const CpuPackages& packages, const std::string& process, std::uint64_t start_ticks,
                   std::optional<std::int64_t> clock_ns, ThreadPlaces& places, std::span<std::int64_t> used_ns) {
  if (clock_ns && *clock_ns <= places.placed_ns) return;
  const std::string folder = "/proc/" + process + "/";
  const auto stat = read_stat(machine, folder + "stat");
  if (!stat || (start_ticks != 0 && stat->start_ticks != start_ticks)) return;
  const std::int64_t clock = clock_ns.value_or(stat->ticks * ns_per_user_tick);
  const std::int64_t used = clock - places.placed_ns;
  if (used <= 0) return;
  if (stat->threads <= 1 && process != "self") {
    const auto place = packages.place_of(stat->cpu);
    if (!place) return;
    used_ns[*place] += used;
    places.threads.assign(1, {parse_i64(process).value_or(0), stat->ticks});
    places.placed_ns = clock;
    return;
  }
  // Of threads that have a past which is not ours, the first look tells only where to count from.
  const bool only_begin = places.threads.empty() && places.placed_ns > 0;
  ThreadPlaces before = places;
  const auto weights = ticks_by_package(machine, packages, folder, places);
  std::int64_t sum = 0;
  for (const std::int64_t weight : weights) sum += weight;
  if (only_begin) return;
  if (sum <= 0) {  // less than a step of theirs: it waits
    places = std::move(before);
    return;
  }
  std::int64_t left = used;
  std::size_t most = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto part =
        std::llround(static_cast<double>(used) * (static_cast<double>(weights[i]) / static_cast<double>(sum)));
    const auto taken = std::clamp<std::int64_t>(part, 0, left);
    used_ns[i] += taken;
    left -= taken;
    if (weights[i] > weights[most]) most = i;
  }
  used_ns[most] += left;
  places.placed_ns = clock;
}

}  // namespace prony
