#include "process/target_match.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "process/cgroup_names.hpp"
#include "process/nearby.hpp"

namespace prony {

namespace {

constexpr std::size_t comm_bytes = 15;

Result<std::uint32_t> find_user(Machine& machine, const std::string& value) {
  if (const auto number = parse_u64(value); number && *number < 0xffffffff) return static_cast<std::uint32_t>(*number);
  const auto passwd = machine.read_text("/etc/passwd");
  std::vector<std::string> names;
  std::optional<std::uint32_t> found;
  if (passwd)
    for_each_line(*passwd, [&](std::string_view line) {
      const auto fields = split(line, ':');
      if (fields.size() < 3) return;
      names.emplace_back(fields[0]);
      const auto number = parse_u64(fields[2]);
      if (!found && fields[0] == value && number && *number < 0xffffffff) found = static_cast<std::uint32_t>(*number);
    });
  if (found) return *found;
  const auto meant = did_you_mean(nearest_names(value, names, 3));
  return fail(ErrorCode::usage, "there is no user '" + printable(value, 40) + "' in /etc/passwd", "--user",
              meant.empty() ? "a user of a directory service is named by its number (id -u)"
                            : meant + " A user of a directory service is named by its number (id -u)");
}

bool is_hexadecimal(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<TargetMatch> TargetMatch::make(Machine& machine, std::vector<TargetChoice> choices) {
  TargetMatch match(machine, std::move(choices));
  match.port_states_.resize(match.choices_.size());
  for (std::size_t i = 0; i < match.choices_.size(); ++i) {
    const TargetChoice& choice = match.choices_[i];
    const TargetMask bit = TargetMask{1} << i;
    std::uint32_t user = 0;
    if (choice.kind != SelectorKind::comm) match.inherited_ |= bit;
    switch (choice.kind) {
      case SelectorKind::port: match.ports_ = true; [[fallthrough]];
      case SelectorKind::pid: match.trees_ |= bit; break;
      case SelectorKind::comm: match.programs_ = true; break;
      case SelectorKind::user: {
        const auto found = find_user(machine, choice.value);
        if (!found) return Unexpected<Error>(found.error());
        user = *found;
        match.of_users_ = true;
        break;
      }
      case SelectorKind::cgroup:
      case SelectorKind::container:
      case SelectorKind::unit: match.cgroups_ = true; break;
      case SelectorKind::all: break;
    }
    match.users_.push_back(user);
  }
  return match;
}

std::optional<ProcessFacts> TargetMatch::read_facts(std::int64_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  const auto text = machine_->read_text(folder + "stat");
  if (!text) return std::nullopt;
  const auto stat = parse_process_stat(*text);
  if (!stat) return std::nullopt;
  ProcessFacts facts;
  facts.stat = *stat;
  if (programs_) {
    if (const auto words = machine_->read_text(folder + "cmdline")) {
      auto first = std::string_view(*words).substr(0, words->find('\0'));
      first.remove_prefix(first.rfind('/') == std::string_view::npos ? 0 : first.rfind('/') + 1);
      facts.program = std::string(first);
    }
  }
  if (of_users_) {
    if (const auto status = machine_->read_text(folder + "status"))
      for_each_line(*status, [&facts](std::string_view line) {
        if (!line.starts_with("Uid:")) return;
        const auto fields = split(line, '\t');  // real, effective, saved, of the file system
        const auto number = fields.size() > 2 ? parse_u64(fields[2]) : std::nullopt;
        if (number) facts.user = static_cast<std::uint32_t>(*number);
      });
  }
  if (cgroups_ || !command_cgroup_.empty()) facts.cgroups = machine_->read_text(folder + "cgroup").value_or("");
  if (ports_) facts.network = machine_->read_link(folder + "ns/net").value_or("");
  return facts;
}

bool TargetMatch::in_command_cgroup(const ProcessFacts& facts) const {
  bool inside = false;
  if (!command_cgroup_.empty())
    for_each_cgroup_path(facts.cgroups,
                         [&](std::string_view path) { inside = inside || lies_in_cgroup(path, command_cgroup_); });
  return inside;
}

bool TargetMatch::in_container(const std::string& value, const ProcessFacts& facts) {
  bool inside = false;
  for_each_cgroup_path(facts.cgroups, [&](std::string_view path) {
    if (inside) return;
    const auto ids = containers_of_cgroup(path);
    for (const std::string_view id : ids) {
      const auto& names = names_.names_of(id, facts.stat.pid);
      inside = inside || std::find(names.begin(), names.end(), value) != names.end() || id == value ||
               (value.size() >= 4 && is_hexadecimal(value) && id.starts_with(value));
    }
    if (inside || value.size() < 32) return;
    auto uid = value;  // of a pod, with the dashes of Kubernetes or the underscores of systemd
    std::replace(uid.begin(), uid.end(), '_', '-');
    inside = pod_of_cgroup(path) == uid;
  });
  return inside;
}

bool TargetMatch::matches(std::size_t index, const ProcessFacts& facts) {
  const TargetChoice& choice = choices_[index];
  switch (choice.kind) {
    case SelectorKind::pid:
    case SelectorKind::port: return false;
    case SelectorKind::comm: return choice.value == facts.stat.name.data() || choice.value == facts.program;
    case SelectorKind::user: return facts.user == users_[index];
    case SelectorKind::container: return in_container(choice.value, facts);
    case SelectorKind::cgroup:
    case SelectorKind::unit: {
      bool inside = false;
      for_each_cgroup_path(facts.cgroups, [&](std::string_view path) {
        inside = inside || (choice.kind == SelectorKind::unit ? lies_in_unit(path, choice.value)
                                                              : lies_in_cgroup(path, choice.value));
      });
      return inside;
    }
    case SelectorKind::all: return true;
  }
  return false;
}

TargetMask TargetMatch::named(const ProcessFacts& facts) {
  TargetMask mask = 0;
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (matches(i, facts)) mask |= TargetMask{1} << i;
  return mask;
}

TargetMask TargetMatch::named_by_comm(std::string_view comm) const {
  TargetMask mask = 0;
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (choices_[i].kind == SelectorKind::comm && std::string_view(choices_[i].value).substr(0, comm_bytes) == comm)
      mask |= TargetMask{1} << i;
  return mask;
}

std::vector<std::int64_t> TargetMatch::owners_of(std::size_t index, std::span<const SocketOwners::Candidate> all) {
  if (choices_[index].kind != SelectorKind::port) return {};
  auto owners = sockets_.find(static_cast<std::uint16_t>(parse_u64(choices_[index].value).value_or(0)), all);
  PortState& state = port_states_[index];
  state.listening = owners.listening;
  state.found = state.found || !owners.pids.empty();
  state.closed = owners.closed;
  return std::move(owners.pids);
}

// It names somebody, who is another's.
Unavailable TargetMatch::taken(std::size_t index, int by) const {
  const std::string subject = "target." + choices_[index].name, selector = selector_text(choices_[index]);
  if (by < 0)
    return {subject, "the only process that " + selector + " names is this Prony itself",
            "what Prony uses is always told beside the targets"};
  if (static_cast<std::size_t>(by) >= choices_.size())
    return {subject, "every process that " + selector + " names is of the measured command",
            "the command's tree comes before all targets: read the command's row"};
  const std::string& other = choices_[static_cast<std::size_t>(by)].name;
  return {subject, "every process that " + selector + " names is of '" + other + "' already, which is named before it",
          "a process belongs to the first target that names it: name this one before '" + other + "'"};
}

std::vector<Unavailable> TargetMatch::unavailable(std::span<const bool> ever_seen,
                                                  std::span<const std::optional<int>> taken_by,
                                                  std::int64_t own_pid) const {
  std::vector<Unavailable> list;
  Nearby nearby(*machine_, own_pid);
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const TargetChoice& choice = choices_[i];
    if (i < ever_seen.size() && ever_seen[i]) continue;
    if (i < taken_by.size() && taken_by[i]) {
      list.push_back(taken(i, *taken_by[i]));
      continue;
    }
    std::string reason = "no process was there that " + selector_text(choice) + " names", remedy;
    if (choice.kind == SelectorKind::port && port_states_[i].listening) {
      reason = "somebody listens on port " + choice.value + ", but who it is cannot be seen: the descriptors of " +
               std::to_string(port_states_[i].closed) + " processes may not be looked into";
      remedy = "run as the server's user or as root, or name it: --pid, --comm, --unit";
    } else if (choice.kind == SelectorKind::port) {
      reason = "nobody listened on port " + choice.value;
      remedy = "a server on another machine or in a network namespace that cannot be seen is measured there";
    } else if (choice.kind == SelectorKind::container) {
      const auto meant = did_you_mean(nearest_names(choice.value, names_.all(), 3));
      if (names_.unknown() > 0)
        reason += "; the names of " + std::to_string(names_.unknown()) + " containers could not be found out" +
                  (names_.denied() > 0 ? " (" + std::to_string(names_.denied()) + " because their files are root's)"
                                       : std::string());
      remedy = meant.empty() ? "name it by the beginning of its id (docker ps, podman ps, crictl ps)" : meant;
    } else {
      remedy = nearby.advice(choice);
    }
    list.push_back({"target." + choice.name, std::move(reason), std::move(remedy)});
  }
  return list;
}

}  // namespace prony
