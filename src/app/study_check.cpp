#include "app/study_check.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/study.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

// The setting that a message of the command line's is about; its own word for it is "--threads".
const study::Setting* named_in(const study::Variant& variant, const std::string& message) {
  for (const study::Setting& setting : variant.settings) {
    const std::size_t at = message.find("--" + setting.key);
    const std::size_t end = at + 2 + setting.key.size();
    if (at != message.npos &&
        (end >= message.size() || message.find_first_of("abcdefghijklmnopqrstuvwxyz-", end) != end))
      return &setting;
  }
  return nullptr;
}

std::string place(const std::string& file, const study::Variant& variant, const study::Setting* setting) {
  if (setting == nullptr) return file + " (variant '" + printable(variant.name, 60) + "')";
  return study::at_line(setting->file.empty() ? file : setting->file, setting->line);
}

const study::Setting* with_value(const study::Variant& variant, const std::string& text) {
  const auto at = std::ranges::find_if(variant.settings, [&](const study::Setting& setting) {
    return setting.value.scalar() && study::filled(variant, study::word_of(setting.value)) == text;
  });
  return text.empty() || at == variant.settings.end() ? nullptr : &*at;
}

// A file that an earlier run or a preparation makes may be missing yet.
bool is_made_later(const study::Plan& plan, const Error& error) {
  return error.code == ErrorCode::absent && !plan.prepare.empty();
}

// Settings of the environment that stand for options are seen by the run alone.
bool has_settings_in_environment(const study::Variant& variant) {
  return std::ranges::any_of(study::environment(variant),
                             [](const auto& row) { return row.first.starts_with("PRONY_"); });
}

Result<void> check_options(CLI::App& app, const OptionCheck& sound, const study::Plan& plan,
                           const study::Variant& variant, const std::string& file) {
  const std::string help =
      plan.kind == study::Kind::run ? "prony run --help  shows the options." : "prony llm --help  shows the options.";
  std::vector<std::string> words = study::command_line(plan, variant);
  words.erase(words.begin());
  const auto dashes = std::ranges::find(words, "--");
  CommandWords command;
  if (dashes != words.end()) command.assign(dashes + 1, words.end());
  words.erase(dashes, words.end());
  std::ranges::reverse(words);  // as it wants them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    const std::string said = printable(error.what(), 200);
    return fail(ErrorCode::usage, said, place(file, variant, named_in(variant, said)), help);
  }
  if (variant.word("prompts") == "-")
    return fail(ErrorCode::usage, "a run of a study has no standard input",
                place(file, variant, with_value(variant, "-")), "Name a file of prompts.");
  if (has_settings_in_environment(variant)) return {};
  const auto good = sound(command);
  if (good || is_made_later(plan, good.error())) return {};
  const Error& error = good.error();
  const study::Setting* setting = named_in(variant, error.where);
  if (setting == nullptr) setting = named_in(variant, error.what);
  if (setting == nullptr) setting = with_value(variant, error.where);
  std::string said = error.what;
  if (!error.where.empty()) said += ": " + error.where;
  return fail(ErrorCode::usage, said, place(file, variant, setting),
              error.fix.empty() && error.code == ErrorCode::usage ? help : error.fix);
}

Result<void> check_engine(const study::Variant& variant, const study::Vocabulary& words, const std::string& file) {
  if (const study::Value* worker = variant.find("worker"); worker != nullptr && !worker->is(study::Value::Kind::null))
    return {};  // one of the user's own: its name is a label
  const std::string engine = variant.word("engine");
  const auto at = std::ranges::find(variant.settings, std::string("engine"), &study::Setting::key);
  if (!engine.empty() && std::ranges::find(words.engines, engine) == words.engines.end()) {
    const auto near = nearest_name(engine, words.engines);
    return fail(ErrorCode::usage, "no engine is called '" + printable(engine, 40) + "'",
                place(file, variant, at == variant.settings.end() ? nullptr : &*at),
                near ? "Did you mean '" + *near + "'?" : "prony help engines  shows those that there are.");
  }
  const bool of_its_own = engine == "openai" || engine == "llama-server";  // serves one, which has no need of a name
  if (!of_its_own && variant.word("model").empty())
    return fail(ErrorCode::usage, "a run without a model", place(file, variant, nullptr),
                "Write  model = \"file.gguf\"  under [base].");
  return {};
}

}  // namespace

Result<void> check_variants(const study::Plan& plan, const std::string& file) {
  if (plan.kind == study::Kind::layers) return {};
  const study::Vocabulary words = study_words();
  CLI::App app("", plan.kind == study::Kind::run ? "run" : "llm");  // which options there are goes by its name
  const OptionCheck sound = plan.kind == study::Kind::run ? add_run_check(app) : add_llm_check(app);
  for (const auto* variants : {&plan.variants, &plan.not_run})
    for (const study::Variant& variant : *variants) {
      if (plan.kind != study::Kind::run)
        if (auto good = check_engine(variant, words, file); !good) return good;
      if (auto good = check_options(app, sound, plan, variant, file); !good) return good;
    }
  return {};
}

}  // namespace prony::app
