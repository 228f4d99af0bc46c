#include "app/study_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace prony::app {

namespace {

using Json = nlohmann::ordered_json;

constexpr int manifest_schema = 1;
constexpr std::int64_t most_cycles = 1000;
constexpr std::size_t longest_manifest = std::size_t{256} << 20;
constexpr const char* manifest_name = "manifest.json";

Result<void> put_durably(const std::filesystem::path& fresh, std::string_view text) {
  auto fd = Fd::open(fresh.string(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!fd) return Unexpected<Error>(fd.error());
  while (!text.empty()) {
    const auto put = ::write(fd->get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Unexpected<Error>(error_from_errno(errno, fresh.string(), "cannot write"));
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd->get()) != 0) return Unexpected<Error>(error_from_errno(errno, fresh.string(), "cannot write"));
  return {};
}

// The names in a folder are on the disk; where a file system has no such thing (EINVAL), it needs none.
Result<void> sync_names_of(const std::filesystem::path& folder) {
  const auto fd = Fd::open(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  if (!fd) return Unexpected<Error>(fd.error());
  if (::fsync(fd->get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    return Unexpected<Error>(error_from_errno(errno, folder.string(), "the folder cannot be kept on the disk"));
  return {};
}

// Each folder that is missing, with its name in the one above on the disk.
Result<void> make_folders_durably(const std::filesystem::path& folder) {
  std::error_code failed;
  if (folder.empty() || std::filesystem::is_directory(folder, failed)) return {};
  if (auto above = make_folders_durably(folder.parent_path()); !above) return above;
  std::filesystem::create_directory(folder, failed);
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), folder.string(), "cannot make the folder"));
  return sync_names_of(folder.parent_path());
}

Json attempt_json(const StudyAttempt& a) {
  Json out{{"id", a.id}, {"status", a.status}, {"run", a.run}, {"log", a.log}, {"begun_utc", a.begun_utc}};
  if (!a.ended_utc.empty()) out["ended_utc"] = a.ended_utc;
  if (!a.reason.empty()) out["reason"] = a.reason;
  if (a.exit_code) out["exit_code"] = *a.exit_code;
  if (a.adopted) out["adopted"] = true;
  if (!a.origin.empty()) out["joules_origin"] = a.origin;
  if (!a.memory_limit.empty()) out["memory_limit"] = a.memory_limit;
  if (!a.flags.empty()) out["flags"] = a.flags;
  if (!a.figures.empty()) out["figures"] = a.figures;
  return out;
}

std::string text_at(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

StudyAttempt attempt_from(const Json& json) {
  StudyAttempt a;
  a.id = text_at(json, "id");
  a.status = text_at(json, "status");
  a.run = text_at(json, "run");
  a.log = text_at(json, "log");
  a.begun_utc = text_at(json, "begun_utc");
  a.ended_utc = text_at(json, "ended_utc");
  a.reason = text_at(json, "reason");
  if (const auto at = json.find("exit_code"); at != json.end()) a.exit_code = at->get<int>();
  a.adopted = json.value("adopted", false);
  a.origin = text_at(json, "joules_origin");
  a.memory_limit = text_at(json, "memory_limit");
  if (const auto at = json.find("flags"); at != json.end()) a.flags = at->get<std::vector<std::string>>();
  if (const auto at = json.find("figures"); at != json.end()) a.figures = at->get<StudyFigures>();
  return a;
}

StudyManifest read_manifest_json(const Json& json) {
  StudyManifest m;
  m.id = json.at("id").get<std::string>();
  m.name = text_at(json, "name");
  m.kind = text_at(json, "kind");
  m.status = text_at(json, "status");
  m.why = text_at(json, "why");
  m.begun_utc = text_at(json, "begun_utc");
  m.directory = text_at(json, "directory");
  m.version = text_at(json, "prony_version");
  m.host = text_at(json, "host");
  m.file = json.at("file").get<std::string>();
  m.base = text_at(json, "base");
  m.scenarios = json.at("scenarios").get<std::vector<std::string>>();
  m.deduplicate = json.at("deduplicate").get<bool>();
  m.design = json.at("design").get<std::string>();
  m.variants = json.at("variants");
  for (const Json& variant : m.variants) {  // later readers take these as given
    (void)variant.at("name").get<std::string>();
    for (const Json& setting : variant.at("settings"))
      (void)(setting.at("key").get<std::string>() + setting.at("canonical").get<std::string>());
  }
  for (const auto& [name, value] : json.at("machine_before").items())
    m.machine_before.emplace_back(name, value.get<std::string>());
  for (const Json& row : json.at("runs")) {
    StudyRun run;
    run.number = row.at("number").get<std::size_t>();
    run.variant = row.at("variant").get<std::string>();
    run.hash = row.at("hash").get<std::string>();
    const auto cycle = row.at("cycle").get<std::int64_t>();
    run.cycle = static_cast<std::size_t>(std::clamp<std::int64_t>(cycle, 1, most_cycles) - 1);
    run.status = row.at("status").get<std::string>();
    for (const Json& attempt : row.at("attempts")) run.attempts.push_back(attempt_from(attempt));
    m.runs.push_back(std::move(run));
  }
  return m;
}

}  // namespace

const StudyAttempt* StudyRun::good() const {
  for (const StudyAttempt& attempt : attempts)
    if (attempt.status == "done") return &attempt;
  return nullptr;
}

Json to_json(const StudyManifest& m) {
  Json out{{"schema", "prony.study/" + std::to_string(manifest_schema)},
           {"id", m.id},
           {"name", m.name},
           {"kind", m.kind},
           {"status", m.status}};
  if (!m.why.empty()) out["why"] = m.why;
  out.update({{"begun_utc", m.begun_utc},
              {"directory", m.directory},
              {"prony_version", m.version},
              {"host", m.host},
              {"file", m.file},
              {"scenarios", m.scenarios},
              {"deduplicate", m.deduplicate},
              {"design", m.design}});
  if (!m.base.empty()) out["base"] = m.base;
  out["machine_before"] = Json::object();
  for (const auto& [name, value] : m.machine_before) out["machine_before"][name] = value;
  out["variants"] = m.variants;
  out["runs"] = Json::array();
  for (const StudyRun& run : m.runs) {
    Json row{{"number", run.number},
             {"variant", run.variant},
             {"hash", run.hash},
             {"cycle", run.cycle + 1},
             {"status", run.status}};
    row["attempts"] = Json::array();
    for (const StudyAttempt& attempt : run.attempts) row["attempts"].push_back(attempt_json(attempt));
    out["runs"].push_back(std::move(row));
  }
  return out;
}

Result<StudyManifest> manifest_from(const std::string& text, const std::string& where) {
  constexpr const char* advice =
      "Runs themselves are whole: `prony show` reads each. Begin a new study in another folder.";
  try {
    const Json json = Json::parse(text);
    if (text_at(json, "schema") != "prony.study/" + std::to_string(manifest_schema))
      return fail(ErrorCode::malformed, "this is no study of this version of Prony", where, advice);
    return read_manifest_json(json);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::malformed, "the manifest cannot be read: " + printable(error.what(), 120), where, advice);
  }
}

Result<void> replace_durably(const std::filesystem::path& file, std::string_view text) {
  const std::filesystem::path fresh = file.string() + ".new";
  auto put = put_durably(fresh, text);
  if (put && ::rename(fresh.c_str(), file.c_str()) != 0)
    put = Unexpected<Error>(error_from_errno(errno, file.string(), "cannot put it in its place"));
  if (!put) {
    ::unlink(fresh.c_str());
    if (put.error().code == ErrorCode::full)
      put.error().fix = "Make room, then go on where it stopped:  prony study --resume " + file.parent_path().string();
    return put;
  }
  return sync_names_of(file.parent_path());
}

Result<void> keep_durably(const std::filesystem::path& file) {
  const auto fd = Fd::open(file.string(), O_RDONLY);
  if (!fd) return Unexpected<Error>(fd.error());
  if (::fsync(fd->get()) != 0)
    return Unexpected<Error>(error_from_errno(errno, file.string(), "it cannot be kept on the disk"));
  return sync_names_of(file.parent_path());
}

Result<Fd> StudyFolder::lock(const std::filesystem::path& folder) {
  const std::string file = (folder / ".lock").string();
  auto fd = Fd::open(file, O_RDWR | O_CREAT, 0644);
  if (!fd) return fd;
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(ErrorCode::usage, "another prony works in this folder", folder.string(),
                  "Wait for its end, or end it: what it was doing can be taken up again with --resume.");
    return Unexpected<Error>(error_from_errno(errno, file, "cannot lock"));
  }
  return fd;
}

Result<StudyFolder> StudyFolder::create(const std::filesystem::path& folder) {
  std::error_code failed;
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  if (auto made = make_folders_durably(whole / "runs"); !made) return Unexpected<Error>(made.error());
  auto held = lock(folder);
  if (!held) return Unexpected<Error>(held.error());
  if (std::filesystem::exists(folder / manifest_name, failed))
    return fail(ErrorCode::usage, "a study lies there already", folder.string(),
                "Go on with it:  prony study --resume " + folder.string() + "\nOr name another folder with --out.");
  return StudyFolder(whole, std::move(*held));
}

Result<StudyFolder> StudyFolder::open(const std::filesystem::path& folder) {
  std::error_code failed;
  if (!std::filesystem::exists(folder / manifest_name, failed))
    return fail(ErrorCode::absent, "no study lies there", folder.string(), "Name the folder that prony study made.");
  auto held = lock(folder);
  if (!held) return Unexpected<Error>(held.error());
  return StudyFolder(std::filesystem::absolute(folder).lexically_normal(), std::move(*held));
}

Result<std::string> StudyFolder::read(const std::string& name) const {
  return read_whole_file(file(name).string(), longest_manifest);
}

Result<StudyManifest> StudyFolder::load() const {
  const auto text = read(manifest_name);
  if (!text) return Unexpected<Error>(text.error());
  return manifest_from(*text, file(manifest_name).string());
}

Result<void> StudyFolder::save(const StudyManifest& manifest) const {
  return replace_durably(file(manifest_name),
                         to_json(manifest).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace prony::app
