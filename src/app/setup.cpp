// `prony setup NAME [--persist] [--dry-run] [--undo]`: does what error messages advise, says every step, takes it back.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "app/common.hpp"
#include "app/setup_apply.hpp"
#include "app/setup_plan.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

struct SetupOptions {
  std::string name;
  bool persist = false, dry_run = false, undo = false;
  std::string root;
};

void say(const std::string& line) { std::printf("%s\n", printable(line, 400).c_str()); }

int list_rows() {
  std::puts("What can be set up (prony setup NAME; --dry-run only says what it would do):");
  for (const SetupRow& row : setup_rows())
    std::printf("  %-8s %s\n", std::string(row.name).c_str(), std::string(row.help).c_str());
  return exit_code::ok;
}

const SetupRow* row_named(const std::string& name) {
  for (const SetupRow& row : setup_rows())
    if (row.name == name) return &row;
  return nullptr;
}

// Who stands behind sudo; a name that useradd would not make is nobody's.
std::string calling_user() {
  const char* user = std::getenv("SUDO_USER");
  const std::string name = user == nullptr ? "" : user;
  const bool plain =
      !name.empty() && name.size() <= 32 && name != "root" && name.front() != '-' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == std::string::npos;
  return plain ? name : std::string();
}

int undo(const SetupOptions& o) {
  if (o.dry_run) {
    const auto steps = recorded_setup(o.root, o.name);
    if (!steps) return failed(steps.error());
    for (auto step = steps->rbegin(); step != steps->rend(); ++step) say("would undo: " + undo_text(*step));
    if (steps->empty()) say("nothing is on record that could be undone");
    return exit_code::ok;
  }
  if (auto undone = undo_setup(o.root, o.name, say); !undone) return failed(undone.error());
  say("done: " + o.name + " is as it was");
  return exit_code::ok;
}

int setup(SetupOptions o) {
  if (o.name.empty()) return list_rows();
  const SetupRow* const row = row_named(o.name);
  if (!row) {
    std::vector<std::string> names;
    for (const SetupRow& each : setup_rows()) names.emplace_back(each.name);
    const auto near = nearest_name(o.name, names);
    return failed({ErrorCode::usage,
                   "there is no setup called '" + printable(o.name, 40) + "'",
                   {},
                   near ? "Did you mean '" + *near + "'?" : "`prony setup` lists them."});
  }
  if (!o.dry_run && o.root.empty() && ::geteuid() != 0)
    return failed({ErrorCode::denied,
                   "setting up " + o.name + " takes root",
                   {},
                   "sudo prony setup " + o.name + (o.persist ? " --persist" : "") + (o.undo ? " --undo" : "") +
                       "\n(--dry-run says what it would do, without root.)"});
  if (o.undo) return undo(o);
  const SetupWish wish{o.persist, calling_user()};
  const auto steps = row->plan(o.root, wish);
  if (!steps) return failed(steps.error());
  if (steps->empty()) {
    say("nothing to do: " + o.name + " is set up already");
    return exit_code::ok;
  }
  if (o.dry_run) {
    for (const SetupStep& step : *steps) say("would do: " + to_string(step));
    return exit_code::ok;
  }
  if (auto done = apply_setup(o.root, o.name, *steps, say); !done) return failed(done.error());
  if (o.persist && o.name == "rapl")
    say(wish.user.empty()
            ? "done, for good, for members of the group prony: sudo usermod -aG prony USER, then log in anew"
            : "done, for good: " + wish.user + " must log in anew to be in the group prony");
  else
    say(o.persist ? "done, for good" : "done, for all users until the next reboot; --persist makes it last");
  say("prony setup " + o.name + " --undo takes it back");
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_setup(CLI::App& command) {
  auto options = std::make_shared<SetupOptions>();
  command.add_option("NAME", options->name, "rapl, perf; without it they are listed");
  command.add_flag("--persist", options->persist, "For good: a udev rule and the group prony, or a sysctl file");
  command.add_flag("--dry-run", options->dry_run, "Only say what would be done");
  command.add_flag("--undo", options->undo, "Take back what was set up, and nothing else");
  command.add_option("--root", options->root, "Work below this folder instead of / (to try it, or for an image)")
      ->type_name("DIR");
  return [options](const CommandWords&) { return setup(*options); };
}

}  // namespace prony::app
