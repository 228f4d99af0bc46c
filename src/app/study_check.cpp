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

Result<void> check_options(CLI::App& app, const study::Plan& plan, const study::Variant& variant,
                           const std::string& file) {
  std::vector<std::string> words = study::command_line(plan, variant);
  words.erase(words.begin());
  words.erase(std::ranges::find(words, "--"), words.end());
  std::ranges::reverse(words);  // as it wants them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    const std::string said = printable(error.what(), 200);
    return fail(ErrorCode::usage, said, place(file, variant, named_in(variant, said)),
                plan.kind == study::Kind::run ? "prony run --help  shows the options."
                                              : "prony llm --help  shows the options.");
  }
  return {};
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
  CLI::App app;
  const auto kept = plan.kind == study::Kind::run ? add_run(app) : add_llm(app);  // the options write into it
  for (const study::Variant& variant : plan.variants) {
    if (plan.kind != study::Kind::run)
      if (auto good = check_engine(variant, words, file); !good) return good;
    if (auto good = check_options(app, plan, variant, file); !good) return good;
  }
  return {};
}

}  // namespace prony::app
