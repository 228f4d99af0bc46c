// The FUSE tree as data: which files, links and directories there are, what each says at a time, and the files that are
// about the tree itself: truth.json (settings), truth/NAME/BEGIN-END (the true joules between two instants of
// CLOCK_MONOTONIC in ns), control (faults). Layouts as the kernel's: Documentation/power/powercap,
// hwmon/sysfs-interface, driver-api/thermal/sysfs-api, power/power_supply_class. Thread promise: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fake_domain.hpp"

namespace prony::rigs {

struct Node {
  enum class Shape { directory, link, file } shape = Shape::directory;
  std::vector<std::string> entries;           // directory
  std::string target;                         // link
  std::function<std::string(Duration)> text;  // file, of the time since the tree's 0
  Domain* domain = nullptr;                   // file whose reads fail when this has a fault
};

class Tree {
 public:
  explicit Tree(std::int64_t now_ns) : zero_ns_(now_ns) {}
  Tree(const Tree&) = delete;  // its nodes point into it
  Tree& operator=(const Tree&) = delete;

  // --zone, --hwmon, … each followed by its words; without any: one socket and one board.
  [[nodiscard]] Result<void> build(const std::vector<std::string>& options);

  [[nodiscard]] Duration since_zero(std::int64_t now_ns) const { return {now_ns - zero_ns_}; }
  [[nodiscard]] const Node* find(std::string_view path) const;  // null: not there, or vanished
  // Of truth/NAME/BEGIN-END; nullopt: no such question.
  [[nodiscard]] std::optional<std::string> answer(std::string_view path) const;
  // "package-0 eio", "* ok" → 0, or the errno of what is wrong with it.
  [[nodiscard]] int command(std::string_view line, std::int64_t now_ns);

 private:
  void add(const std::string& path, Node node);
  void add_text(const std::string& path, const std::string& text);
  void add_value(const std::string& path, Domain* domain, std::function<std::string(Duration)> text);
  void add_link(const std::string& path, std::string target);
  void lay_out(Domain* domain);
  void add_zone(Domain* domain);
  void add_hwmon(Domain* domain);
  void add_thermal(Domain* domain);
  void add_supply(Domain* domain);
  [[nodiscard]] std::string description() const;

  std::int64_t zero_ns_;
  std::vector<std::unique_ptr<Domain>> domains_;
  std::map<std::string, Node, std::less<>> nodes_;
};

}  // namespace prony::rigs
