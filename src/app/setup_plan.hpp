// What `prony setup NAME` would change, worked out from what is there, before anything is touched. Everything lies
// below a root ("" for this machine), so that plans are made and carried out on a constructed tree without privileges.
// Thread promise: pure but for reading files below the root. Errors: absent (nothing there to set up), denied,
// malformed.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::app {

inline constexpr std::size_t largest_setup_file = 1 << 20;  // of those that are read

struct SetupStep {
  enum class Kind {
    mode,     // permission bits of a file, and its group
    value,    // the text in a file of /proc/sys
    file,     // a file of Prony's own
    command,  // a program of the system, and the one that takes it back
  };
  Kind kind = Kind::command;
  std::string path;    // mode, value, file: as on a machine ("/etc/…"), without the root
  std::string before;  // mode: "0400 root"; value, file: the text; file that was not there: empty
  std::string after;   // the same, once it is done
  std::vector<std::string> arguments = {}, undo = {};  // command; argv[0] is an absolute path

  bool operator==(const SetupStep&) const = default;
};
// One line: "chmod 0444 /sys/… (was 0400)".
[[nodiscard]] std::string to_string(const SetupStep& step);
[[nodiscard]] std::string undo_text(const SetupStep& step);  // what taking it back does

struct SetupWish {
  bool persist = false;
  std::string user;  // who called sudo, to be let into the group; empty: nobody
};

struct SetupRow {
  std::string_view name;
  std::string_view help;
  Result<std::vector<SetupStep>> (*plan)(const std::string& root, const SetupWish& wish);
};
[[nodiscard]] std::span<const SetupRow> setup_rows();

// The text of packaging/udev/60-prony-rapl.rules.
[[nodiscard]] std::string_view rapl_udev_rule();

// Permission bits and group of a file, as steps write them: "0440 prony"; a group without a name in /etc/group is
// written as its number.
[[nodiscard]] Result<std::string> mode_text(const std::string& root, const std::string& path);
// The number of a group in the root's /etc/group.
[[nodiscard]] std::optional<unsigned> group_number(const std::string& root, std::string_view group);

}  // namespace prony::app
