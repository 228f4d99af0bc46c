#include "process/process_tree.hpp"

#include "process/tree_base.hpp"

namespace prony {

std::string_view to_string(TreeRung rung) noexcept {
  switch (rung) {
    case TreeRung::automatic: return "automatic";
    case TreeRung::cgroup: return "cgroup";
    case TreeRung::exit_events: return "exit-events";
    case TreeRung::subreaper: return "subreaper";
    case TreeRung::polling: return "polling";
  }
  return "unknown";
}

std::optional<TreeRung> tree_rung_from(std::string_view text) noexcept {
  for (const TreeRung rung :
       {TreeRung::automatic, TreeRung::cgroup, TreeRung::exit_events, TreeRung::subreaper, TreeRung::polling})
    if (text == to_string(rung)) return rung;
  return std::nullopt;
}

Result<std::unique_ptr<ProcessTree>> ProcessTree::create(Machine& machine, TreeRung rung) {
  if (machine.kind() != MachineKind::live)
    return fail(ErrorCode::unavailable, "a command can only be run on a live machine, not on a captured one");
  switch (rung) {
    case TreeRung::cgroup: return make_cgroup_tree(machine, {});
    case TreeRung::exit_events: return make_exit_event_tree(machine, {});
    case TreeRung::subreaper: return make_subreaper_tree(machine, {});
    case TreeRung::polling: return make_polling_tree(machine, {});
    case TreeRung::automatic: break;
  }
  std::string why;
  const auto note = [&why](TreeRung refused, const Error& error) {
    if (!why.empty()) why += "; ";
    why += std::string(to_string(refused)) + ": " + error.what;
    if (!error.where.empty()) why += " (" + error.where + ")";
  };
  auto tree = make_cgroup_tree(machine, {});
  if (tree) return tree;
  note(TreeRung::cgroup, tree.error());
  tree = make_exit_event_tree(machine, why);
  if (tree) return tree;
  note(TreeRung::exit_events, tree.error());
  tree = make_subreaper_tree(machine, why);
  if (tree) return tree;
  note(TreeRung::subreaper, tree.error());
  return make_polling_tree(machine, why);
}

}  // namespace prony
