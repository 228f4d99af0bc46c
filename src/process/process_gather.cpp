// The slow half of the process table: what is read without a lock.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/text.hpp"
#include "process/process_table.hpp"
#include "process/resident_pace.hpp"

namespace prony {

namespace {

constexpr Duration list_at_least = milliseconds(1000);
constexpr std::uint64_t longest_check_gap = 1024;        // looks
constexpr std::int64_t children_cost_factor = 100;       // reading children's times may take 1/100 of the time
constexpr std::int64_t all_children_cost_factor = 1000;  // of those who are in no target
constexpr std::int64_t places_cost_factor = 100;         // asking where threads ran may take 1/100 of the time
constexpr std::int64_t sparing_factor = 5;               // each of these costs is so much less where it is to be spared

// Second number of statm, in pages. −1: gone.
std::int64_t resident_pages(std::string_view text) noexcept {
  const auto begin = text.find(' ');
  if (begin == std::string_view::npos) return -1;
  std::int64_t pages = -1;
  const auto parsed = std::from_chars(text.data() + begin + 1, text.data() + text.size(), pages);
  return parsed.ec == std::errc() ? pages : -1;
}

std::string file_of(std::int64_t pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

}  // namespace

ProcessTable::ProcessTable(Machine& machine, TargetMatch& match, const Options& options)
    : machine_(machine),
      match_(match),
      options_(options),
      totals_(options.targets + 1),
      living_(options.targets + 1),
      taken_by_(options.targets),
      residents_(options.targets),
      residents_read_(options.targets),
      packages_(CpuPackages::of(machine)),
      board_(machine, options.targets, packages_.several() ? packages_.cpus() : std::vector<double>{}),
      placed_(packages_.several() ? options.targets : 0, std::vector<std::int64_t>(packages_.count())),
      expected_(placed_.size(), std::vector<double>(packages_.count())),
      most_open_files_(machine.most_open_files() / 4) {
  if (auto file = machine_.open("/proc/loadavg")) cursor_ = std::move(*file);
}

std::int64_t ProcessTable::spared(std::int64_t cost_factor) const noexcept {
  return options_.sparing ? sparing_factor * cost_factor : cost_factor;
}

void ProcessTable::pump() {
  if (options_.events != nullptr) options_.events->read(batch_);
}

// The newest id moves with every birth of a process or thread. It is given out before its process is listed, so a
// listing must follow a look without any birth too (`moved_`).
bool ProcessTable::births_since_last_look() {
  const auto newest = read_newest_pid(cursor_.get());
  const bool moved = newest < 0 || newest != newest_pid_;
  newest_pid_ = newest;
  return moved;
}

Result<void> ProcessTable::gather(Instant now, bool all) {
  newcomers_.clear();
  rechecks_.clear();
  children_times_.clear();
  const bool moved = births_since_last_look() || !batch_.births.empty();
  // Before the events and the listing: a child that ends in between is then known to have ended, or it is not yet in
  // its parent's times.
  if (moved || moved_) children_due_ = all_children_due_ = true;
  gather_children_times(now, all);
  pump();
  const bool births = moved || !batch_.births.empty() || batch_.lost;
  listed_ = first_ || all || births || moved_ || now >= list_again_;
  moved_ = births;
  if (listed_) {
    const auto listed = machine_.list_processes(listing_);
    if (!listed) return listed;
    list_again_ = now + list_at_least;
    gather_newcomers();
  }
  gather_rechecks();
  gather_residents(now, all);
  gather_places(now, all);
  return {};
}

void ProcessTable::gather_children_times(Instant now, bool all) {
  // What is due and may not be read yet stays due: no later birth may come to remind of it.
  const bool of_targets = all || (children_due_ && now >= read_children_again_);
  const bool of_all = all || (all_children_due_ && now >= read_all_children_again_);
  if (!of_targets && !of_all) return;
  if (of_targets) children_due_ = false;
  if (of_all) all_children_due_ = false;
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (place.pid == options_.own_pid || (options_.events != nullptr && !process.gave_birth && !all)) continue;
    const bool of_target = has_own_children(process);
    if (of_target ? !of_targets : !of_all || !options_.each_process) continue;
    const auto text = machine_.read_text(file_of(place.pid, "stat"));
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat || stat->start_ticks != process.start_ticks) continue;
    const auto ticks = stat->children_user_ticks + stat->children_system_ticks;
    children_times_.push_back({place.slot, static_cast<std::int64_t>(ticks) * ns_per_tick()});
    process.gave_birth = process.children > 0;
  }
  const auto after = machine_.now();
  if (of_targets) read_children_again_ = after + spared(children_cost_factor) * (after - now);
  if (of_all) read_all_children_again_ = after + spared(all_children_cost_factor) * (after - now);
}

void ProcessTable::gather_newcomers() {
  std::size_t known = 0;
  for (const ListedProcess& listed : listing_) {
    while (known < order_.size() && order_[known].pid < listed.pid) ++known;
    FollowedProcess* process =
        known < order_.size() && order_[known].pid == listed.pid ? &slots_[order_[known].slot] : nullptr;
    if (process != nullptr && listed.identity != 0 && process->identity == listed.identity) continue;
    if (process != nullptr) {  // another process, or the kernel forgot the folder and made it anew
      const auto text = machine_.read_text(file_of(listed.pid, "stat"));
      const auto stat = text ? parse_process_stat(*text) : std::nullopt;
      if (!stat || stat->start_ticks == process->start_ticks) {
        if (stat) process->identity = listed.identity;
        continue;
      }
    }
    Newcomer newcomer;
    auto facts = match_.read_facts(listed.pid);
    if (!facts) continue;  // gone already
    newcomer.facts = std::move(*facts);
    newcomer.named = match_.named(newcomer.facts);
    newcomer.command_group = match_.in_command_cgroup(newcomer.facts);
    newcomer.identity = listed.identity;
    newcomers_.push_back(std::move(newcomer));
  }
}

// A process may change its name, groups and user, most often soon after its birth. A child of ours, when the command is
// let go, which may be long after.
void ProcessTable::gather_rechecks() {
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (process.check_at > look_) continue;
    process.check_gap = process.parent == options_.own_pid ? 1 : std::min(2 * process.check_gap, longest_check_gap);
    process.check_at = look_ + process.check_gap;
    auto facts = match_.read_facts(place.pid);
    if (!facts || facts->stat.start_ticks != process.start_ticks) continue;
    const TargetMask named = match_.named(*facts);
    rechecks_.push_back({place.slot, std::move(*facts), named});
  }
}

// `all`: also when it is not due, so that the memory of a tree whose root was named just now is known from the start.
void ProcessTable::gather_residents(Instant now, bool all) {
  if (!all && now < residents_again_) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::fill(residents_read_.begin(), residents_read_.end(), std::optional<std::uint64_t>(0));
  for (const std::uint32_t slot : members_) {
    FollowedProcess& process = slots_[slot];
    auto& sum = residents_read_[static_cast<std::size_t>(process.target)];
    if (!process.memory && open_files_ < most_open_files_)
      if (auto file = machine_.open(file_of(process.pid, "statm"))) {
        process.memory = std::move(*file);
        ++open_files_;
      }
    std::array<char, 128> buffer;
    std::int64_t pages = -1;
    if (process.memory) {
      const auto got = process.memory->read(buffer);
      if (got > 0) pages = resident_pages({buffer.data(), static_cast<std::size_t>(got)});
      if (got == -ESRCH || got == -ENODEV) continue;  // it has ended
    } else if (const auto text = machine_.read_text(file_of(process.pid, "statm"))) {
      pages = resident_pages(*text);
    } else if (text.error().code == ErrorCode::absent || text.error().code == ErrorCode::gone) {
      continue;
    }
    if (pages < 0) {
      sum.reset();
    } else if (sum) {
      process.resident_bytes = static_cast<std::uint64_t>(pages) * page;
      *sum += process.resident_bytes;
    }
  }
  const auto after = machine_.now();
  residents_again_ = now + std::max(resident_period, spared(resident_cost_factor) * (after - now));
}

void ProcessTable::gather_places(Instant now, bool all) {
  places_gathered_ = !placed_.empty() && (all || now >= places_again_);
  if (!places_gathered_) return;
  for (const std::uint32_t slot : members_) {
    FollowedProcess& process = slots_[slot];
    const auto target = static_cast<std::size_t>(process.target);
    if (!expected_[target].empty())
      if (const auto place = last_place(machine_, packages_, std::to_string(process.pid)))
        expected_[target][*place] += 1;
    std::optional<std::int64_t> clock_ns;
    if (!reads_stat_) {
      const auto clock = machine_.process_cpu_time(process.pid);
      if (!clock) continue;
      clock_ns = clock->ns;
    }
    place_threads(machine_, packages_, std::to_string(process.pid), process.start_ticks, clock_ns, process.places,
                  placed_[target]);
  }
  const auto after = machine_.now();
  places_again_ = after + spared(places_cost_factor) * (after - now);
}

void ProcessTable::gather_memory() {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  shares_.clear();
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (process.number == 0 && process.target < 0) continue;
    // How its time divides is as it was if it has used none since, and of no use if it has used none at all.
    const bool idle = process.own_ns == process.share_at_ns || process.own_ns == process.base_ns;
    const bool sized = process.number == 0 || process.resident_bytes != 0;
    if (idle && sized) continue;
    const auto text = machine_.read_text(file_of(place.pid, "stat"));
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat || stat->start_ticks != process.start_ticks) continue;
    const auto user = static_cast<double>(stat->user_ticks), all = user + static_cast<double>(stat->system_ticks);
    if (all > 0) shares_.emplace_back(place.slot, user / all);
    process.share_at_ns = process.own_ns;
    if (sized) continue;
    const auto memory = machine_.read_text(file_of(place.pid, "statm"));
    const auto pages = memory ? resident_pages(*memory) : -1;
    if (pages > 0) process.resident_bytes = static_cast<std::uint64_t>(pages) * page;
  }
}

}  // namespace prony
