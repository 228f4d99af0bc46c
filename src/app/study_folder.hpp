// The folder of a study, and its manifest on disk: what is to be run, what was, every attempt with its own id. Each
// change is durable before what it speaks of begins (a new file, fsync, rename, fsync of the folder), so that after a
// kill or a power cut it says at least all that was done. Thread promise: one thread. Errors: as the system tells them;
// usage where another prony works in the folder.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "study/plan.hpp"

namespace prony::app {

// Numbers of one finished run; units in the names. What is absent is not there.
using StudyFigures = std::map<std::string, double>;

// Of joules of a simulated machine: none of them is real, however they were told there.
inline constexpr std::string_view simulated_origin = "simulated";

struct StudyAttempt {
  std::string id;        // of this attempt alone: "20261120T225801-5fd1c2aa/r003/a2"
  std::string status;    // running, done, failed, interrupted
  std::string run, log;  // file names below the folder
  std::string reason;    // why it failed or was interrupted
  std::string begun_utc, ended_utc;
  std::optional<int> exit_code;    // as the shell says it
  bool adopted = false;            // its Run was whole, though nobody was there to see it end
  std::string origin;              // of its joules: measured, derived, modelled, simulated; "": none
  std::string memory_limit;        // how it was kept: "enforced: …", "watched: why"; "": there was none
  std::vector<std::string> flags;  // asked for and not honoured, and other doubts
  StudyFigures figures;
};

struct StudyRun {
  std::size_t number = 0;  // from 1, in the order of the plan
  std::string variant;     // by name
  std::string hash;
  std::size_t cycle = 0;           // from 0
  std::string status = "pending";  // pending, running, done, failed
  std::vector<StudyAttempt> attempts;
  [[nodiscard]] const StudyAttempt* good() const;  // the attempt that counts; null: none
};

struct StudyManifest {
  std::string id, name, kind, status = "running";  // running, complete, failed, stopped, interrupted
  std::string why;                                 // it was stopped
  std::string begun_utc, directory, version, host;
  std::string file;  // the copy of the study file below the folder
  std::string base;  // the copy of the file that it takes its base from; "": none
  std::vector<std::string> scenarios;
  bool deduplicate = true;
  std::string design;               // hash
  nlohmann::ordered_json variants;  // declared settings with their sources, and the command line
  std::vector<std::pair<std::string, std::string>> machine_before;  // settings to be put back: name → value
  std::vector<StudyRun> runs;
};

[[nodiscard]] nlohmann::ordered_json to_json(const StudyManifest& manifest);
[[nodiscard]] Result<StudyManifest> manifest_from(const std::string& text, const std::string& where);

// Written whole, durable when it returns.
[[nodiscard]] Result<void> replace_durably(const std::filesystem::path& file, std::string_view text);

// What another process wrote, and its name, are on the disk when it returns.
[[nodiscard]] Result<void> keep_durably(const std::filesystem::path& file);

class StudyFolder {
 public:
  // Makes the folder and locks it. Errors: usage where a study lies there already.
  [[nodiscard]] static Result<StudyFolder> create(const std::filesystem::path& folder);
  // Locks one that is there.
  [[nodiscard]] static Result<StudyFolder> open(const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return path_ / name; }
  [[nodiscard]] Result<StudyManifest> load() const;
  [[nodiscard]] Result<void> save(const StudyManifest& manifest) const;
  [[nodiscard]] Result<std::string> read(const std::string& name) const;

 private:
  StudyFolder(std::filesystem::path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  [[nodiscard]] static Result<Fd> lock(const std::filesystem::path& folder);
  std::filesystem::path path_;
  Fd lock_;
};

}  // namespace prony::app
