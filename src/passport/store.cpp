#include "passport/store.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/state_file.hpp"
#include "base/text.hpp"

namespace prony::passport {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view format = "prony.passport/1";
constexpr std::size_t largest_file = std::size_t{8} << 20;
constexpr std::int64_t longest_ns = std::int64_t{1} << 56;  // two years: more is rubbish

struct DurationField {
  const char* name;
  std::optional<Duration> ChannelPassport::* field;
};
constexpr DurationField duration_fields[] = {
    {"poll_ns", &ChannelPassport::poll},
    {"update_period_ns", &ChannelPassport::update_period},
    {"period_spread_ns", &ChannelPassport::period_spread},
    {"faster_than_ns", &ChannelPassport::faster_than},
    {"phase_doubt_ns", &ChannelPassport::phase_doubt},
    {"jitter_ns", &ChannelPassport::jitter},
    {"averaging_window_ns", &ChannelPassport::averaging_window},
    {"read_cost_ns", &ChannelPassport::read_cost},
    {"worst_latency_ns", &ChannelPassport::worst_latency},
    {"slows_others_ns", &ChannelPassport::slows_others},
};
struct TextField {
  const char* name;
  std::string ChannelPassport::* field;
};
constexpr TextField text_fields[] = {
    {"channel", &ChannelPassport::channel},           {"unit", &ChannelPassport::unit},
    {"learned_utc", &ChannelPassport::learned_utc},   {"learned_by", &ChannelPassport::learned_by},
    {"boot_id", &ChannelPassport::boot_id},           {"averaging_how", &ChannelPassport::averaging_how},
    {"duplicate_of", &ChannelPassport::duplicate_of}, {"contained_in", &ChannelPassport::contained_in},
};
struct CountField {
  const char* name;
  std::uint64_t ChannelPassport::* field;
};
constexpr CountField count_fields[] = {{"reads", &ChannelPassport::reads},
                                       {"gaps", &ChannelPassport::gaps},
                                       {"transitions", &ChannelPassport::transitions}};
struct RealField {
  const char* name;
  std::optional<double> ChannelPassport::* field;
};
constexpr RealField real_fields[] = {{"step", &ChannelPassport::step}, {"noise_rms", &ChannelPassport::noise_rms}};

Json json_of(const ChannelPassport& passport) {
  Json json;
  for (const auto& [name, field] : text_fields)
    if (!(passport.*field).empty()) json[name] = passport.*field;
  json["version"] = passport.version;
  json["watched_ns"] = passport.watched.ns;
  for (const auto& [name, field] : count_fields) json[name] = passport.*field;
  for (const auto& [name, field] : duration_fields)
    if (passport.*field) json[name] = (passport.*field)->ns;
  if (passport.phase) json["phase_ns"] = passport.phase->ns;
  for (const auto& [name, field] : real_fields)
    if (passport.*field && std::isfinite(*(passport.*field))) json[name] = *(passport.*field);
  json["notes"] = passport.notes;
  json["absent"] = Json::array();
  for (const auto& entry : passport.absent)
    json["absent"].push_back({{"name", entry.subject}, {"reason", entry.reason}});
  return json;
}

std::string text_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}
std::optional<std::int64_t> whole_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  return found->get<std::int64_t>();
}

// A figure that makes no sense is left out, as if it had not been learned.
ChannelPassport passport_of(const Json& json) {
  ChannelPassport passport;
  for (const auto& [name, field] : text_fields) passport.*field = text_of(json, name);
  passport.version = static_cast<int>(whole_of(json, "version").value_or(0));
  passport.watched.ns = whole_of(json, "watched_ns").value_or(0);
  for (const auto& [name, field] : count_fields)
    if (const auto value = whole_of(json, name); value && *value >= 0)
      passport.*field = static_cast<std::uint64_t>(*value);
  for (const auto& [name, field] : duration_fields)
    if (const auto value = whole_of(json, name); value && *value >= 0 && *value < longest_ns)
      passport.*field = Duration{*value};
  if (passport.update_period && passport.update_period->ns == 0) passport.update_period.reset();
  if (const auto phase = whole_of(json, "phase_ns")) passport.phase = Instant{*phase};
  for (const auto& [name, field] : real_fields)
    if (const auto found = json.find(name); found != json.end() && found->is_number()) {
      const double value = found->get<double>();
      if (std::isfinite(value) && value > 0) passport.*field = value;
    }
  if (const auto notes = json.find("notes"); notes != json.end() && notes->is_array())
    for (const auto& note : *notes)
      if (note.is_string()) passport.notes.push_back(note.get<std::string>());
  if (const auto absent = json.find("absent"); absent != json.end() && absent->is_array())
    for (const auto& entry : *absent)
      if (entry.is_object()) passport.absent.push_back({text_of(entry, "name"), text_of(entry, "reason"), {}});
  return passport;
}

// FNV-1a: no secret is protected by it, it only names a file.
std::string hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string word;
  for (int shift = 60; shift >= 0; shift -= 4) word += digits[(hash >> shift) & 15];
  return word;
}

Unexpected<Error> foreign(const char* what, const std::string& where) {
  return fail(ErrorCode::malformed, what, where, "What was learned before is ignored; `prony probe` learns it again.");
}

}  // namespace

MachinePassport identify(const Manifest& facts, std::string_view root) {
  MachinePassport passport;
  passport.cpu_model = facts.get("machine.cpu_model").value_or("");
  passport.board = facts.get("machine.board").value_or("");
  passport.kernel = facts.get("machine.kernel").value_or("");
  std::string all;
  for (const std::string& part : {passport.cpu_model, passport.board, passport.kernel, std::string(root)})
    all += std::to_string(part.size()) + ":" + part;  // so that no two lists of parts read alike
  passport.identity = hash_of(all);
  return passport;
}

std::filesystem::path file_of(std::string_view xdg_state_home, std::string_view home, std::string_view identity) {
  std::filesystem::path folder;
  if (xdg_state_home.starts_with('/')) {  // the specification: a relative one is to be ignored
    folder = xdg_state_home;
  } else if (!home.empty()) {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return {};
  }
  return folder / "prony" / "passports" / (std::string(identity) + ".json");
}

std::string to_text(const MachinePassport& passport) {
  Json json{{"format", format},        {"identity", passport.identity}, {"cpu_model", passport.cpu_model},
            {"board", passport.board}, {"kernel", passport.kernel},     {"channels", Json::array()}};
  for (const auto& channel : passport.channels) json["channels"].push_back(json_of(channel));
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<MachinePassport> from_text(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return foreign("this is no passport file", {});
  if (text_of(json, "format") != format) return foreign("a passport file of another version of Prony", {});
  MachinePassport passport;
  passport.identity = text_of(json, "identity");
  passport.cpu_model = text_of(json, "cpu_model");
  passport.board = text_of(json, "board");
  passport.kernel = text_of(json, "kernel");
  if (const auto channels = json.find("channels"); channels != json.end() && channels->is_array())
    for (const auto& channel : *channels) {
      if (!channel.is_object()) continue;
      auto one = passport_of(channel);
      const bool usable = !one.channel.empty() && one.version == passport_version;
      if (usable && passport.find(one.channel) == nullptr) passport.channels.push_back(std::move(one));
    }
  return passport;
}

Result<MachinePassport> load(const std::filesystem::path& file, std::string_view identity, std::string_view boot_id) {
  auto text = read_whole_file(file.string(), largest_file);
  if (!text) return Unexpected<Error>(text.error());
  auto passport = from_text(*text);
  if (!passport) {
    passport.error().where = file.string();
    return passport;
  }
  if (passport->identity != identity) return foreign("the passports of another machine", file.string());
  for (auto& channel : passport->channels)
    if (channel.phase && channel.boot_id != boot_id) {
      channel.phase.reset();
      channel.phase_doubt.reset();
      channel.absent.push_back({"phase", "learned before the last boot", {}});
    }
  return passport;
}

Result<void> save(const std::filesystem::path& file, const MachinePassport& passport) {
  return replace_state_file(file, to_text(passport), "the passport");
}

}  // namespace prony::passport
