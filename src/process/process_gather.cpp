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

// Everybody is listed as rarely as that, to see that nobody was missed: where births are told, where numbers alone tell
// them, and where nothing tells them but a listing.
constexpr Duration check_told = milliseconds(30'000), check_numbers = milliseconds(5'000),
                   list_at_least = milliseconds(1'000);
constexpr Duration most_distrust = milliseconds(3'600'000);
constexpr std::size_t always_asked = 64;                 // numbers; to ask for one costs less than to list one
constexpr std::uint64_t longest_check_gap = 1024;        // looks
constexpr std::int64_t children_cost_factor = 100;       // reading children's times may take 1/100 of the time
constexpr std::int64_t all_children_cost_factor = 1000;  // of those who are in no target
constexpr std::int64_t sleepers_cost_factor = 1000;      // so may asking those of targets who have not run
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

// The newest id moves with every birth of a process or thread.
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
  // Before the events and the newcomers: a child that ends in between is then known to have ended, or it is not yet in
  // its parent's times.
  if (moved || moved_) children_due_ = sleepers_children_due_ = all_children_due_ = true;
  gather_children_times(now, all);
  pump();
  const bool births = moved || !batch_.births.empty() || batch_.lost;
  const bool in_turn = born_.advance(now, newest_pid_, std::max(always_asked, order_.size()));
  // Numbers are those of another namespace where no process clock can be read by them.
  const bool may_ask = in_turn && !reads_stat_ && now >= ask_from_;
  if (may_ask) ask_for_those_told(now);
  listed_ = first_ || all || batch_.lost || ((births || moved_) && !may_ask) || now >= list_again_;
  moved_ = births;
  if (listed_) {
    if (auto listed = list_everybody(now, may_ask && !first_); !listed) return listed;
  } else {
    ask_for_newcomers();
  }
  gather_rechecks();
  gather_residents(now, all);
  gather_places(now, all);
  return {};
}

void ProcessTable::gather_children_times(Instant now, bool all) {
  // What is due and may not be read yet stays due: no later birth may come to remind of it.
  const bool of_targets = all || (children_due_ && now >= read_children_again_);
  const bool of_sleepers = all || (sleepers_children_due_ && now >= read_sleepers_children_again_);
  const bool of_all = all || (all_children_due_ && now >= read_all_children_again_);
  if (!of_targets && !of_sleepers && !of_all) return;
  if (of_targets) children_due_ = false;
  if (of_sleepers) sleepers_children_due_ = false;
  if (of_all) all_children_due_ = false;
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (place.pid == options_.own_pid || (options_.events != nullptr && !process.gave_birth && !all)) continue;
    const bool of_target = has_own_children(process);
    // To wait for a child takes CPU time: whoever has used none since it was asked has waited for nobody.
    const bool slept = !reads_stat_ && process.clocked && process.own_ns == process.children_at_ns;
    if (of_target ? !(slept ? of_sleepers : of_targets) : !of_all || !options_.each_process) continue;
    const auto text = machine_.read_text(file_of(place.pid, "stat"));
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat || stat->start_ticks != process.start_ticks) continue;
    const auto ticks = stat->children_user_ticks + stat->children_system_ticks;
    children_times_.push_back({place.slot, static_cast<std::int64_t>(ticks) * ns_per_tick()});
    process.children_at_ns = process.own_ns;
    process.gave_birth = process.children > 0;
  }
  const auto after = machine_.now();
  if (of_targets) read_children_again_ = after + spared(children_cost_factor) * (after - now);
  if (of_sleepers) read_sleepers_children_again_ = after + spared(sleepers_cost_factor) * (after - now);
  if (of_all) read_all_children_again_ = after + spared(all_children_cost_factor) * (after - now);
}

Result<void> ProcessTable::list_everybody(Instant now, bool may_ask) {
  if (auto listed = machine_.list_processes(listing_); !listed) return listed;
  std::size_t known = 0;
  for (const ListedProcess& listed : listing_) {
    while (known < order_.size() && order_[known].pid < listed.pid) ++known;
    const bool has_row = known < order_.size() && order_[known].pid == listed.pid;
    meet(listed, has_row ? &slots_[order_[known].slot] : nullptr);
  }
  // Whoever was born until now has a number that is asked for, or one that came just now.
  const auto newest = may_ask ? read_newest_pid(cursor_.get()) : -1;
  const bool missed = may_ask && std::ranges::any_of(newcomers_, [&](const Newcomer& newcomer) {
                        const std::int64_t pid = newcomer.facts.stat.pid;
                        return !born_.holds(pid) && !given_out_between(newest_pid_, newest, pid);
                      });
  if (missed) {  // where numbers tell nothing (a file laid over /proc/loadavg), it happens again and again
    ask_from_ = now + distrust_;
    distrust_ = std::min(2 * distrust_, most_distrust);
  }
  const bool by_numbers = may_ask && !missed;
  list_again_ = now + (!by_numbers ? list_at_least : options_.events != nullptr ? check_told : check_numbers);
  return {};
}

// Whoever took a number out of turn is told of all the same, where births are.
void ProcessTable::ask_for_those_told(Instant now) {
  for (const Birth& birth : batch_.births)
    if (birth.thread == birth.process && !born_.holds(birth.process) && row(birth.process) == nullptr)
      born_.ask_again(now, birth.process);
}

void ProcessTable::ask_for_newcomers() {
  // To the thread that asks, and to it alone, the kernel gives the clock of its process by the thread's number, too.
  const std::int64_t this_thread = machine_.kind() == MachineKind::live ? ::gettid() : 0;
  born_.ask([this, this_thread](std::int64_t number) {
    if (number == this_thread) return true;
    const auto clock = machine_.process_cpu_time(number);
    if (!clock && clock.error().code == ErrorCode::gone) return false;  // it is a thread's, or does not show yet
    return meet({number, 0}, row(number));
  });
}

bool ProcessTable::meet(const ListedProcess& listed, FollowedProcess* known) {
  if (known != nullptr && listed.identity != 0 && known->identity == listed.identity) return true;
  if (known != nullptr) {  // another process, or the kernel forgot the folder and made it anew
    const auto text = machine_.read_text(file_of(listed.pid, "stat"));
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat || stat->start_ticks == known->start_ticks) {
      if (stat && listed.identity != 0) known->identity = listed.identity;
      return stat.has_value();
    }
  }
  Newcomer newcomer;
  auto facts = match_.read_facts(listed.pid);
  if (!facts) return false;  // gone already
  newcomer.facts = std::move(*facts);
  newcomer.named = match_.named(newcomer.facts);
  newcomer.command_group = match_.in_command_cgroup(newcomer.facts);
  newcomer.identity = listed.identity;
  newcomers_.push_back(std::move(newcomer));
  return true;
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
  const bool of_sleepers = all || now >= sleepers_residents_again_;
  std::fill(residents_read_.begin(), residents_read_.end(), std::optional<std::uint64_t>(0));
  for (const std::uint32_t slot : members_) {
    FollowedProcess& process = slots_[slot];
    auto& sum = residents_read_[static_cast<std::size_t>(process.target)];
    // Whoever has not run has asked for none and given none back.
    if (!of_sleepers && process.own_ns == process.sized_at_ns) {
      if (sum) *sum += process.sized_bytes;
      continue;
    }
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
      process.resident_bytes = process.sized_bytes = static_cast<std::uint64_t>(pages) * page;
      process.sized_at_ns = process.own_ns;
      *sum += process.resident_bytes;
    }
  }
  const auto after = machine_.now();
  if (of_sleepers) sleepers_residents_again_ = now + spared(sleepers_cost_factor) * (after - now);
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
