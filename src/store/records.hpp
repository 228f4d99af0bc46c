// Records: the small plain tables of a Run (meta, facts, channels, groups, events, processes, totals, anchors), written
// and read back row by row. Thread promise: as Database.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "model/sample.hpp"
#include "model/target.hpp"
#include "store/database.hpp"

namespace prony {

[[nodiscard]] Result<void> put_meta(Database& database, const std::string& key, const std::string& value);
[[nodiscard]] Result<void> put_manifest(Database& database, const Manifest& manifest);
[[nodiscard]] Result<void> put_fact(Database& database, const Fact& fact);
[[nodiscard]] Result<void> put_unavailable(Database& database, const Unavailable& unavailable);
[[nodiscard]] Result<void> put_channels(Database& database, std::span<const Channel> channels);
[[nodiscard]] Result<void> put_groups(Database& database, std::span<const Group> groups);
[[nodiscard]] Result<void> put_anchor(Database& database, const Anchor& anchor);
[[nodiscard]] Result<void> put_event(Database& database, const Event& event);
[[nodiscard]] Result<void> put_process(Database& database, const ProcessRecord& process);
[[nodiscard]] Result<void> put_target(Database& database, std::size_t position, const Target& target);
[[nodiscard]] Result<void> put_total(Database& database, const Total& total);
// Of a channel that is there; the same channel again replaces it.
[[nodiscard]] Result<void> put_passport(Database& database, const ChannelPassport& passport);
[[nodiscard]] Result<std::vector<ChannelPassport>> load_passports(Database& database);

// Everything of a Run but its samples and spans.
struct Records {
  Manifest manifest;
  std::vector<Channel> channels;
  std::vector<Group> groups;
  std::vector<Anchor> anchors;
  std::vector<Event> events;
  std::vector<Target> targets;
  std::vector<ProcessRecord> processes;
  std::vector<Total> totals;
  std::vector<ChannelPassport> passports;
};
[[nodiscard]] Result<Records> load_records(Database& database, const std::string& where);

}  // namespace prony
