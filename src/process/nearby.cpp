#include "process/nearby.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "process/cgroup_names.hpp"
#include "process/proc_files.hpp"

namespace prony {

namespace {

constexpr std::size_t most_names = 3;
constexpr std::size_t longest_wanted = 256;      // bytes; no slip of the finger is longer
constexpr std::size_t shortest_part = 3;         // of a name that is looked for inside others
constexpr std::size_t most_candidates = 10'000;  // of the kinds of which a machine may have very many

std::string quoted_name(std::string_view name) { return "'" + printable(name, 60) + "'"; }

std::string process_words(std::int64_t pid, std::string_view name) {
  return std::to_string(pid) + " (" + printable(name, 20) + ")";
}

// Those near to `wanted`, else those of which it is a part.
std::vector<std::string> near_or_around(std::string_view wanted, const std::vector<std::string>& candidates) {
  auto names = nearest_names(wanted, candidates, most_names);
  if (!names.empty() || wanted.size() < shortest_part) return names;
  for (const std::string& candidate : candidates)
    if (names.size() < most_names && candidate.find(wanted) != std::string::npos) names.push_back(candidate);
  return names;
}

std::vector<std::string> as_list(const std::set<std::string>& names) { return {names.begin(), names.end()}; }

constexpr std::string_view service = ".service";

bool is_unit(std::string_view component) noexcept {
  return std::ranges::any_of(
      std::initializer_list<std::string_view>{service, ".scope", ".slice", ".socket", ".mount"},
      [&](std::string_view suffix) { return component.size() > suffix.size() && component.ends_with(suffix); });
}

}  // namespace

std::string did_you_mean(std::span<const std::string> names) {
  if (names.empty()) return {};
  std::string text = "did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + quoted_name(names[i]);
  return text + "?";
}

void Nearby::look() {
  if (std::exchange(looked_, true)) return;
  std::vector<ListedProcess> listing;
  if (!machine_.list_processes(listing)) return;
  std::int64_t parent_of_own = 0;
  for (const ListedProcess& listed : listing) {
    const std::string folder = "/proc/" + std::to_string(listed.pid) + "/";
    const auto text = machine_.read_text(folder + "stat");
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat) continue;
    if (listed.pid == own_pid_) {
      parent_of_own = stat->parent;
      continue;
    }
    Seen seen{listed.pid,
              stat->parent,
              stat->name.data(),
              {},
              machine_.read_text(folder + "cmdline").value_or(""),
              machine_.read_text(folder + "cgroup").value_or("")};
    auto first = std::string_view(seen.command_line).substr(0, seen.command_line.find('\0'));
    first.remove_prefix(first.rfind('/') == std::string_view::npos ? 0 : first.rfind('/') + 1);
    seen.program = std::string(first);
    seen_.push_back(std::move(seen));
  }
  for (std::int64_t pid = parent_of_own; pid > 1 && own_line_.size() < seen_.size();) {
    own_line_.push_back(pid);
    const auto found = std::ranges::find(seen_, pid, &Seen::pid);
    pid = found == seen_.end() ? 0 : found->parent;
  }
}

std::string Nearby::advice(const TargetChoice& choice) {
  if (choice.value.size() > longest_wanted) return {};
  look();
  switch (choice.kind) {
    case SelectorKind::comm: return for_name(choice.value);
    case SelectorKind::cgroup: return for_group(choice.value);
    case SelectorKind::unit: return for_unit(choice.value);
    case SelectorKind::pid: return for_number(choice.value);
    case SelectorKind::user: return "a user of whom no process runs now; ps -eo user,comm lists whose there are";
    case SelectorKind::container:
    case SelectorKind::port:
    case SelectorKind::all: break;
  }
  return {};
}

std::string Nearby::whose_command_line_holds(const std::string& wanted) const {
  if (wanted.size() < shortest_part) return {};
  for (const Seen& seen : seen_)
    if (seen.command_line.find(wanted) != std::string::npos &&
        std::ranges::find(own_line_, seen.pid) == own_line_.end())
      return "process " + process_words(seen.pid, seen.name) + " has it in its command line: --pid " +
             std::to_string(seen.pid);
  return {};
}

std::string Nearby::for_name(const std::string& wanted) {
  std::set<std::string> names;
  for (const Seen& seen : seen_)
    for (const std::string& name : {seen.name, seen.program})
      if (!name.empty()) names.insert(name);
  auto words = did_you_mean(near_or_around(wanted, as_list(names)));
  if (words.empty()) words = whose_command_line_holds(wanted);
  return words.empty() ? "ps -e -o comm lists the names that there are" : words;
}

std::string Nearby::for_group(std::string wanted) {
  constexpr std::string_view mount = "/sys/fs/cgroup/";
  if (wanted.starts_with(mount)) wanted.erase(0, mount.size() - 1);
  while (wanted.size() > 1 && wanted.ends_with('/')) wanted.pop_back();
  if (!wanted.starts_with('/')) wanted.insert(0, "/");
  std::set<std::string> groups;
  for (const Seen& seen : seen_)
    for_each_cgroup_path(seen.cgroups, [&](std::string_view path) {
      // A group holds those below it, so each of its ancestors is one too.
      for (; path.size() > 1 && groups.size() < most_candidates; path = path.substr(0, path.rfind('/')))
        if (!groups.emplace(path).second) break;
    });
  const auto all = as_list(groups);
  auto near = nearest_names(wanted, all, all.size());
  if (near.empty() && wanted.size() > shortest_part)
    for (const std::string& group : all)
      if (group.find(wanted.substr(1)) != std::string::npos) near.push_back(group);
  std::vector<std::string> outermost;  // whoever names a group names those below it
  for (const std::string& group : near)
    if (outermost.size() < most_names &&
        std::ranges::none_of(outermost, [&](const std::string& other) { return lies_in_cgroup(group, other); }))
      outermost.push_back(group);
  const auto words = did_you_mean(outermost);
  return words.empty() ? "systemd-cgls shows the groups that there are, and so does /proc/PID/cgroup" : words;
}

std::string Nearby::for_unit(const std::string& wanted) {
  std::set<std::string> units;
  for (const Seen& seen : seen_)
    for_each_cgroup_path(seen.cgroups, [&](std::string_view path) {
      for (const std::string_view component : split(path, '/'))
        if (is_unit(component) && units.size() < most_candidates) units.emplace(component);
    });
  const bool with_suffix = is_unit(wanted);
  std::vector<std::string> names;  // as the user writes them
  for (const std::string& unit : units)
    names.push_back(!with_suffix && unit.ends_with(service) ? unit.substr(0, unit.size() - service.size()) : unit);
  const auto words = did_you_mean(near_or_around(wanted, names));
  if (!words.empty()) return words;
  return units.empty() ? "no process here is in a unit: systemd does not run, or a container hides it (--cgroupns=host)"
                       : "systemctl list-units lists those that run";
}

std::string Nearby::for_number(const std::string& wanted) {
  if (const auto status = machine_.read_text("/proc/" + wanted + "/status"))
    if (const auto process = parse_status_field(*status, "Tgid", 10); process && std::to_string(*process) != wanted)
      return "it is a thread of process " + std::to_string(*process) + ": --pid " + std::to_string(*process);
  std::vector<std::string> numbers;
  for (const Seen& seen : seen_) numbers.push_back(std::to_string(seen.pid));
  std::string words;
  for (const std::string& number : nearest_names(wanted, numbers, most_names, 1)) {
    const auto found = std::ranges::find(seen_, *parse_i64(number), &Seen::pid);
    words += (words.empty() ? "near it: " : ", ") + process_words(found->pid, found->name);
  }
  return words.empty() ? "ps -e lists those that there are" : words + "; ps -e lists all";
}

}  // namespace prony
