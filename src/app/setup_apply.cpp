#include "app/setup_apply.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/write_file.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

constexpr const char* records_folder = "/var/lib/prony";

std::string record_path(const std::string& root, std::string_view name) {
  return root + records_folder + "/setup-" + std::string(name) + ".json";
}

// Whole or not at all: a rule or a record that is half there would be worse than none.
Result<void> put_file(const std::string& path, std::string_view text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return Unexpected<Error>(error_from_errno(error.value(), path, "cannot make its folder"));
  const auto beside = path + ".new";
  if (auto written = write_file(beside, text); !written) return written;
  if (::chmod(beside.c_str(), 0644) != 0 || ::rename(beside.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(beside.c_str());
    return Unexpected<Error>(error_from_errno(reason, path, "cannot put it in place"));
  }
  return {};
}

Result<void> put_mode(const std::string& root, const std::string& path, const std::string& mode) {
  const auto space = mode.find(' ');
  const auto name = space == std::string::npos ? std::string() : mode.substr(space + 1);
  const auto in_file = group_number(root, name);
  const auto number = in_file ? std::optional<std::uint64_t>(*in_file) : parse_u64(name);
  if (!number) return fail(ErrorCode::absent, "there is no group " + printable(name, 40), path);
  const auto bits = static_cast<mode_t>(std::strtoul(mode.substr(0, space).c_str(), nullptr, 8) & 07777ul);
  struct stat status{};
  const auto real = root + path;
  // The group first: the bits are for it, and a change of group may clear bits.
  if (::stat(real.c_str(), &status) != 0 ||
      (status.st_gid != *number && ::chown(real.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*number)) != 0) ||
      ::chmod(real.c_str(), bits) != 0)
    return Unexpected<Error>(error_from_errno(errno, path, "cannot change its permissions"));
  return {};
}

Result<void> run_step_command(const std::string& root, const std::vector<std::string>& arguments) {
  SpawnOptions options;
  options.arguments = arguments;
  options.arguments.front() = root + arguments.front();
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  const auto ended = child->wait();
  if (!ended) return Unexpected<Error>(ended.error());
  if (*ended && (*ended)->shell_code() == 0) return {};
  return fail(ErrorCode::unavailable, "ended with code " + std::to_string(*ended ? (*ended)->shell_code() : -1),
              arguments.front());
}

Result<std::string> text_now(const std::string& root, const SetupStep& step) {
  if (step.kind == SetupStep::Kind::mode) return mode_text(root, step.path);
  const auto text = read_whole_file(root + step.path, largest_setup_file);
  if (!text && text.error().code == ErrorCode::absent) return std::string();
  if (!text || step.kind == SetupStep::Kind::file) return text;
  return std::string(trim(*text));
}

// One step towards `text` (its before or its after).
Result<void> put(const std::string& root, const SetupStep& step, const std::string& text) {
  switch (step.kind) {
    case SetupStep::Kind::mode: return put_mode(root, step.path, text);
    case SetupStep::Kind::value: return write_file(root + step.path, text + "\n");
    case SetupStep::Kind::file:
      if (!text.empty()) return put_file(root + step.path, text);
      if (::unlink((root + step.path).c_str()) != 0 && errno != ENOENT)
        return Unexpected<Error>(error_from_errno(errno, step.path, "cannot remove it"));
      return {};
    case SetupStep::Kind::command: break;
  }
  return {};
}

Result<void> take_back(const std::string& root, const SetupStep& step, const SetupTold& told) {
  if (step.kind == SetupStep::Kind::command) {
    told("undo: " + undo_text(step));
    return run_step_command(root, step.undo);
  }
  const auto now = text_now(root, step);
  if (!now) {
    if (now.error().code != ErrorCode::absent) return Unexpected<Error>(now.error());
    told("gone since: " + step.path);
    return {};
  }
  if (*now == step.before) return {};  // never done, or a reboot took it back
  if (*now != step.after) {
    told("left alone, changed by somebody since: " + step.path);
    return {};
  }
  told("undo: " + undo_text(step));
  return put(root, step, step.before);
}

nlohmann::json to_json(const SetupStep& step) {
  constexpr const char* kinds[] = {"mode", "value", "file", "command"};
  return {{"kind", kinds[static_cast<std::size_t>(step.kind)]},
          {"path", step.path},
          {"before", step.before},
          {"after", step.after},
          {"arguments", step.arguments},
          {"undo", step.undo}};
}

Result<void> record(const std::string& root, std::string_view name, const std::vector<SetupStep>& steps) {
  if (steps.empty()) {
    ::unlink(record_path(root, name).c_str());
    return {};
  }
  auto list = nlohmann::json::array();
  for (const auto& step : steps) list.push_back(to_json(step));
  const nlohmann::json document{{"schema", 1}, {"steps", std::move(list)}};
  return put_file(record_path(root, name),
                  document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

// "0440 prony": four octal digits, a blank, a group.
bool is_mode(std::string_view text) {
  const auto digits = text.substr(0, 4);
  return text.size() > 5 && text[4] == ' ' && digits.find_first_not_of("01234567") == std::string_view::npos;
}

// Whether it can only do what it says: an absolute path that leads nowhere else, and permissions that are whole.
bool is_whole(const SetupStep& step) {
  const bool command = step.kind == SetupStep::Kind::command;
  if (command && step.undo.empty()) return false;
  const std::string& path = command ? step.undo.front() : step.path;
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) return false;
  if ((path + "/").find("/../") != std::string::npos) return false;
  return step.kind != SetupStep::Kind::mode || (is_mode(step.before) && is_mode(step.after));
}

}  // namespace

Result<std::vector<SetupStep>> recorded_setup(const std::string& root, std::string_view name) {
  const auto path = record_path(root, name);
  const auto text = read_whole_file(path, largest_setup_file);
  std::vector<SetupStep> steps;
  if (!text) {
    if (text.error().code == ErrorCode::absent) return steps;
    return Unexpected<Error>(text.error());
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const auto malformed = fail(ErrorCode::malformed, "the record of what was set up is damaged", path,
                              "Nothing was undone. docs/setup.md says how to do it by hand.");
  if (!json.is_object() || !json.contains("steps") || !json["steps"].is_array()) return malformed;
  if (json.value("schema", nlohmann::json()) != 1)
    return fail(ErrorCode::unavailable, "the record of what was set up is not of a form that this Prony knows", path,
                "Undo it with the Prony that set it up. Nothing was undone.");
  const auto word = [](const nlohmann::json& of, const char* key) {
    return of.contains(key) && of[key].is_string() ? of[key].get<std::string>() : std::string();
  };
  for (const auto& one : json["steps"]) {
    SetupStep step;
    const auto kind = one.is_object() ? word(one, "kind") : std::string();
    if (kind == "mode")
      step.kind = SetupStep::Kind::mode;
    else if (kind == "value")
      step.kind = SetupStep::Kind::value;
    else if (kind == "file")
      step.kind = SetupStep::Kind::file;
    else if (kind != "command")
      return malformed;
    step.path = word(one, "path");
    step.before = word(one, "before");
    step.after = word(one, "after");
    for (const auto& [key, list] : {std::pair{"arguments", &step.arguments}, std::pair{"undo", &step.undo}})
      if (one.contains(key) && one[key].is_array())
        for (const auto& text_of : one[key])
          if (text_of.is_string()) list->push_back(text_of.get<std::string>());
    if (!is_whole(step)) return malformed;
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<void> apply_setup(const std::string& root, std::string_view name, const std::vector<SetupStep>& steps,
                         const SetupTold& told) {
  const auto earlier = recorded_setup(root, name);
  if (!earlier) return Unexpected<Error>(earlier.error());
  // Commands are on record only once they were run: undoing what never happened would take away somebody else's.
  auto all = *earlier;
  for (const auto& step : steps)
    if (step.kind != SetupStep::Kind::command) all.push_back(step);
  if (auto kept = record(root, name, all); !kept) return kept;
  std::vector<SetupStep> done;
  for (const auto& step : steps) {
    const bool command = step.kind == SetupStep::Kind::command;
    auto result = command ? run_step_command(root, step.arguments) : put(root, step, step.after);
    if (result && command) {
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(earlier->size() + done.size()), step);
      result = record(root, name, all);
      if (!result) done.push_back(step);
    }
    if (result) {
      told(to_string(step));
      done.push_back(step);
      continue;
    }
    auto error = result.error();
    bool whole = true;
    if (step.kind == SetupStep::Kind::mode) (void)put(root, step, step.before);  // half done: group, but not bits
    for (auto back = done.rbegin(); back != done.rend(); ++back)
      if (auto undone = take_back(root, *back, told); !undone) {
        whole = false;
        error.fix += "Not taken back: " + to_string(*back) + "\n";
      }
    if (whole) (void)record(root, name, *earlier);
    error.fix += whole ? "What had been done before that was taken back." : "";
    return Unexpected<Error>(std::move(error));
  }
  return {};
}

Result<void> undo_setup(const std::string& root, std::string_view name, const SetupTold& told) {
  auto steps = recorded_setup(root, name);
  if (!steps) return Unexpected<Error>(steps.error());
  if (steps->empty())
    return fail(ErrorCode::absent, "nothing is on record that could be undone", record_path({}, name));
  while (!steps->empty()) {
    if (auto undone = take_back(root, steps->back(), told); !undone) {
      (void)record(root, name, *steps);  // what is left can be tried again
      return undone;
    }
    steps->pop_back();
  }
  return record(root, name, *steps);
}

}  // namespace prony::app
