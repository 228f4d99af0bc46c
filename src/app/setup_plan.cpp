#include "app/setup_plan.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr const char* group = "prony";
constexpr const char* rule_path = "/etc/udev/rules.d/60-prony-rapl.rules";
constexpr const char* sysctl_path = "/etc/sysctl.d/60-prony-perf.conf";
constexpr const char* sysctl_text =
    "# Perf events of whole CPUs, such as energy, for all users. Installed by `prony setup perf --persist`.\n"
    "kernel.perf_event_paranoid = 0\n";

// Calls `line` with the fields of each line of the root's /etc/group: name, password, number, members.
template <class F>
void for_each_group(const std::string& root, F&& line) {
  const auto text = read_whole_file(root + "/etc/group", largest_setup_file);
  if (!text) return;
  for_each_line(*text, [&](std::string_view whole) {
    const auto fields = split(whole, ':');
    if (fields.size() == 4) line(fields);
  });
}

bool is_member(const std::string& root, std::string_view user) {
  bool found = false;
  for_each_group(root, [&](const std::vector<std::string_view>& fields) {
    if (fields[0] != group) return;
    const auto members = split(fields[3], ',');
    found = found || std::find(members.begin(), members.end(), user) != members.end();
  });
  return found;
}

// A file of ours that is already as it should be is no step.
void plan_file(const std::string& root, const char* path, std::string_view text, std::vector<SetupStep>& steps) {
  const auto there = read_whole_file(root + path, largest_setup_file);
  if (there && *there == text) return;
  steps.push_back({SetupStep::Kind::file, path, there.value_or(""), std::string(text)});
}

std::vector<std::string> energy_files(const std::string& root) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(root + "/sys/class/powercap", error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    const auto path = "/sys/class/powercap/" + name + "/energy_uj";
    std::error_code ignored;
    if (name.starts_with("intel-rapl") && name.find(':') != std::string::npos &&
        std::filesystem::exists(root + path, ignored))
      paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<std::vector<SetupStep>> plan_rapl(const std::string& root, const SetupWish& wish) {
  const auto files = energy_files(root);
  if (files.empty())
    return fail(ErrorCode::absent, "there is no RAPL zone to be read", "/sys/class/powercap",
                "Load the driver (sudo modprobe intel_rapl_msr); virtual machines usually have no energy counters.");
  std::vector<SetupStep> steps;
  if (wish.persist) {
    if (!group_number(root, group))
      steps.push_back({SetupStep::Kind::command,
                       {},
                       {},
                       {},
                       {"/usr/sbin/groupadd", "--system", group},
                       {"/usr/sbin/groupdel", group}});
    if (!wish.user.empty() && !is_member(root, wish.user))
      steps.push_back({SetupStep::Kind::command,
                       {},
                       {},
                       {},
                       {"/usr/sbin/usermod", "--append", "--groups", group, wish.user},
                       {"/usr/bin/gpasswd", "--delete", wish.user, group}});
    plan_file(root, rule_path, rapl_udev_rule(), steps);
  }
  for (const auto& path : files) {
    const auto before = mode_text(root, path);
    if (!before) return Unexpected<Error>(before.error());
    const auto space = before->find(' ');
    const unsigned bits = static_cast<unsigned>(std::stoul(before->substr(0, space), nullptr, 8));
    const auto after = wish.persist ? fmt::format("{:04o} {}", bits | 0440u, group)
                                    : fmt::format("{:04o} {}", bits | 0444u, before->substr(space + 1));
    if (after != *before) steps.push_back({SetupStep::Kind::mode, path, *before, after});
  }
  return steps;
}

Result<std::vector<SetupStep>> plan_perf(const std::string& root, const SetupWish& wish) {
  const std::string path = "/proc/sys/kernel/perf_event_paranoid";
  const auto text = read_whole_file(root + path, 64);
  if (!text)
    return fail(ErrorCode::absent, "this kernel has no perf events", path,
                "Energy can still be read by powercap where there is RAPL: sudo prony setup rapl");
  const auto value = parse_i64(*text);
  if (!value) return fail(ErrorCode::malformed, "holds no number", path);
  std::vector<SetupStep> steps;
  if (wish.persist) plan_file(root, sysctl_path, sysctl_text, steps);
  if (*value > 0) steps.push_back({SetupStep::Kind::value, path, std::to_string(*value), "0"});
  return steps;
}

constexpr std::array<SetupRow, 2> setups{{
    {"rapl", "let users read the energy counters of processors", &plan_rapl},
    {"perf", "let users open perf events of whole CPUs, energy among them", &plan_perf},
}};

}  // namespace

std::span<const SetupRow> setup_rows() { return setups; }

std::string_view rapl_udev_rule() {
  return "# Energy counters of processors for members of the group prony. Installed by `prony setup rapl --persist`; "
         "see "
         "docs/setup.md.\n"
         "# Since 2020 the kernel lets only root read them: who reads them often can guess what others compute "
         "(CVE-2020-8694).\n"
         "SUBSYSTEM==\"powercap\", KERNEL==\"intel-rapl*:*\", TEST==\"energy_uj\", RUN+=\"/bin/chgrp prony "
         "/sys%p/energy_uj\", RUN+=\"/bin/chmod g+r /sys%p/energy_uj\"\n";
}

std::optional<unsigned> group_number(const std::string& root, std::string_view name) {
  std::optional<unsigned> number;
  for_each_group(root, [&](const std::vector<std::string_view>& fields) {
    const auto value = parse_u64(fields[2]);
    if (fields[0] == name && value && *value < 0xffffffff) number = static_cast<unsigned>(*value);
  });
  return number;
}

Result<std::string> mode_text(const std::string& root, const std::string& path) {
  struct stat status{};
  if (::stat((root + path).c_str(), &status) != 0)
    return Unexpected<Error>(error_from_errno(errno, path, "cannot look at it"));
  std::string name = std::to_string(status.st_gid);
  for_each_group(root, [&](const std::vector<std::string_view>& fields) {
    if (parse_u64(fields[2]) == status.st_gid) name = fields[0];
  });
  return fmt::format("{:04o} {}", status.st_mode & 07777u, name);
}

namespace {

std::string command_line(const std::vector<std::string>& arguments) {
  std::string line;
  for (const auto& word : arguments) line += (line.empty() ? "" : " ") + word;
  return line;
}

}  // namespace

std::string undo_text(const SetupStep& step) {
  if (step.kind == SetupStep::Kind::command) return command_line(step.undo);
  if (step.kind == SetupStep::Kind::file) return (step.before.empty() ? "removed " : "as before: ") + step.path;
  return (step.kind == SetupStep::Kind::mode ? "permissions of " : "") + step.path + ": " + step.after + " → " +
         step.before;
}

std::string to_string(const SetupStep& step) {
  switch (step.kind) {
    case SetupStep::Kind::mode: return "permissions of " + step.path + ": " + step.before + " → " + step.after;
    case SetupStep::Kind::value: return step.path + ": " + step.before + " → " + step.after;
    case SetupStep::Kind::file: return (step.before.empty() ? "new file " : "rewritten: ") + step.path;
    case SetupStep::Kind::command: return command_line(step.arguments);
  }
  return {};
}

}  // namespace prony::app
