#include "study/axes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/text.hpp"

namespace prony::study {

namespace {

constexpr std::array<std::string_view, 3> name_spaces{"env", "vars", "machine"};
// What a study says itself of each of its runs.
constexpr std::array<std::string_view, 8> of_the_study{"out",   "json",           "csv", "force", "config",
                                                       "quiet", "die-with-prony", "help"};

bool is_name_space(std::string_view word) { return std::ranges::find(name_spaces, word) != name_spaces.end(); }

// What a reader calls a value: of a file its stem, for paths are long and alike.
std::string short_word(const Value& value) {
  if (value.is(Value::Kind::null)) return "default";
  if (value.is(Value::Kind::list)) {
    std::string all;
    for (const Value& item : value.list) all += (all.empty() ? "" : "+") + short_word(item);
    return all;
  }
  std::string word = word_of(value);
  if (const std::size_t slash = word.rfind('/'); slash != std::string::npos && slash + 1 < word.size())
    word.erase(0, slash + 1);
  if (word.ends_with(".gguf")) word.resize(word.size() - 5);
  return printable(word, 40);
}

std::string label_of(const std::vector<Setting>& settings) {
  std::string label;
  for (const Setting& setting : settings)
    label += (label.empty() ? "" : " ") + setting.key + "=" + short_word(setting.value);
  return label.empty() ? "base" : label;
}

}  // namespace

AxisReader::AxisReader(const std::string& file, const Vocabulary& words, Kind kind)
    : file_(file), words_(words), kind_(kind) {}

bool AxisReader::is_engine(std::string_view word) const {
  return kind_ != Kind::run && std::ranges::find(words_.engines, word) != words_.engines.end();
}

bool AxisReader::may_be_list(const std::string& key) const {
  return key == "command" || key == "worker" || std::ranges::find(words_.repeatable, key) != words_.repeatable.end();
}

std::pair<std::string, std::string> scope_of(const std::string& key, const Vocabulary& words) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return {"", key};
  const std::string first = key.substr(0, dot);
  if (std::ranges::find(words.engines, first) == words.engines.end()) return {"", key};
  return {first, key.substr(dot + 1)};
}

Result<void> AxisReader::check_key(const std::string& whole, std::size_t line) const {
  std::string key = whole;
  if (const std::size_t dot = key.find('.'); dot != std::string::npos) {
    const std::string first = key.substr(0, dot);
    if (is_name_space(first)) return {};
    if (is_engine(first)) key.erase(0, dot + 1);
  }
  if (std::ranges::find(of_the_study, key) != of_the_study.end())
    return fail(ErrorCode::usage, "'" + key + "' is what a study says itself of each run", at_line(file_, line),
                "Leave it out: Runs lie in the study's folder, one a run.");
  std::vector<std::string> known = kind_ == Kind::run ? words_.run_keys : words_.llm_keys;
  known.emplace_back(kind_ == Kind::run ? "command" : "worker");
  if (std::ranges::find(known, key) != known.end()) return {};
  if (kind_ != Kind::run) known.insert(known.end(), words_.engines.begin(), words_.engines.end());
  known.insert(known.end(), name_spaces.begin(), name_spaces.end());
  const auto near = nearest_name(key, known);
  return fail(ErrorCode::usage, "unknown key '" + printable(key, 60) + "'", at_line(file_, line),
              near ? "Did you mean '" + *near + "'?"
                   : "Keys are the options of `prony " + std::string(kind_ == Kind::run ? "run" : "llm") +
                         "` without dashes, env.NAME, vars.NAME and machine.NAME.");
}

Result<void> AxisReader::gather(const Value& table, const std::string& prefix, const std::string& source,
                                const std::vector<std::string>& skip, std::vector<Setting>& out) const {
  for (const Entry& entry : table.table) {
    if (prefix.empty() && std::ranges::find(skip, entry.key) != skip.end()) continue;
    const std::string key = prefix + entry.key;
    if (entry.value.is(Value::Kind::table) && prefix.empty() && (is_name_space(entry.key) || is_engine(entry.key))) {
      if (auto done = gather(entry.value, entry.key + ".", source, skip, out); !done) return done;
      continue;
    }
    if (auto good = check_key(key, entry.line); !good) return good;
    if (entry.value.is(Value::Kind::table))
      return fail(ErrorCode::usage, "'" + printable(key, 60) + "' is no table", at_line(file_, entry.line),
                  "Write a value.");
    out.push_back({key, entry.value, source, entry.line});
  }
  return {};
}

Result<std::vector<Setting>> AxisReader::settings(const Value& table, const std::string& source,
                                                  const std::vector<std::string>& skip) const {
  std::vector<Setting> out;
  if (auto done = gather(table, "", source, skip, out); !done) return Unexpected<Error>(done.error());
  for (const Setting& setting : out) {
    const bool list = setting.value.is(Value::Kind::list);
    if (list && !may_be_list(scope_of(setting.key, words_).second))
      return fail(ErrorCode::usage, "'" + printable(setting.key, 60) + "' has one value here",
                  at_line(file_, setting.line), "A list of values to go through belongs under [sweep].");
    for (const Value& item : setting.value.list)
      if (!item.scalar() || item.is(Value::Kind::null))
        return fail(ErrorCode::usage, "'" + printable(setting.key, 60) + "' is a list of plain values",
                    at_line(file_, setting.line));
  }
  return out;
}

Result<std::vector<Alternative>> AxisReader::grid(const Value& table, const std::string& source) const {
  std::vector<Setting> all;
  if (auto done = gather(table, "", source, {"label", "name"}, all); !done) return Unexpected<Error>(done.error());
  std::vector<Alternative> made(1);
  for (const Setting& setting : all) {
    const bool through = setting.value.is(Value::Kind::list) && !may_be_list(scope_of(setting.key, words_).second);
    if (through && setting.value.list.empty())
      return fail(ErrorCode::usage, "'" + printable(setting.key, 60) + "' has no values", at_line(file_, setting.line),
                  "Write at least one, or leave it out.");
    std::vector<Alternative> next;
    const std::vector<Value> values = through ? setting.value.list : std::vector<Value>{setting.value};
    if (made.size() * values.size() > most_variants)
      return fail(ErrorCode::full, "too many combinations", at_line(file_, setting.line));
    for (const Alternative& before : made)
      for (const Value& value : values) {
        if (through && !value.scalar())
          return fail(ErrorCode::usage, "'" + printable(setting.key, 60) + "' is a list of plain values",
                      at_line(file_, setting.line));
        next.push_back(before);
        next.back().settings.push_back({setting.key, value, source, setting.line});
      }
    made = std::move(next);
  }
  const Value* label = table.find("label");
  for (Alternative& one : made) {
    one.label = label_of(one.settings);
    if (label == nullptr) continue;
    std::vector<Setting> through;  // a grid below one label
    for (const Setting& setting : one.settings)
      if (const Value* value = table.find(setting.key);
          value != nullptr && value->is(Value::Kind::list) && made.size() > 1)
        through.push_back(setting);
    one.label = word_of(*label) + (through.empty() ? "" : " " + label_of(through));
  }
  return made;
}

Result<Axis> AxisReader::axis(const std::string& key, const Value& value, std::size_t line) const {
  Axis axis{key, scope_of(key, words_).first, {}, line};
  const std::string shown = "'" + printable(key, 60) + "'";
  if (!value.is(Value::Kind::list))
    return fail(ErrorCode::usage, "the axis " + shown + " is " + std::string(to_string(value.kind)) + " and no list",
                at_line(file_, line), "Write  " + key + " = [a, b]  here, or one value under [base].");
  if (value.list.empty())
    return fail(ErrorCode::usage, "the axis " + shown + " has no values", at_line(file_, line),
                "Write at least one, or leave it out.");
  const bool group = value.list.front().is(Value::Kind::table);
  for (const Value& item : value.list)
    if (item.is(Value::Kind::table) != group)
      return fail(ErrorCode::usage, "the axis " + shown + " mixes values and tables", at_line(file_, item.line),
                  "Either every entry is a value, or every one is { key = value, … }.");
  if (!group) {
    if (auto good = check_key(key, line); !good) return Unexpected<Error>(good.error());
    for (const Value& item : value.list) {
      if (item.is(Value::Kind::list) && !may_be_list(scope_of(key, words_).second))
        return fail(ErrorCode::usage, "a value of the axis " + shown + " is a list", at_line(file_, item.line),
                    "Values are numbers, texts, true or false; settings that change together stand in { }.");
      axis.alternatives.push_back({key + "=" + short_word(item), {{key, item, "sweep " + key, item.line}}});
    }
    return axis;
  }
  axis.scope.clear();
  for (const Value& item : value.list) {
    auto made = grid(item, "sweep " + key);
    if (!made) return Unexpected<Error>(made.error());
    for (Alternative& one : *made) axis.alternatives.push_back(std::move(one));
  }
  return axis;
}

Result<std::vector<Axis>> AxisReader::axes(const Value& sweep) const {
  std::vector<Axis> all;
  for (const Entry& entry : sweep.table) {
    if (entry.value.is(Value::Kind::table)) {
      if (!is_name_space(entry.key) && !is_engine(entry.key)) {
        std::vector<std::string> known(words_.engines);
        known.insert(known.end(), name_spaces.begin(), name_spaces.end());
        const auto near = nearest_name(entry.key, known);
        return fail(ErrorCode::usage, "'" + printable(entry.key, 60) + "' is no engine", at_line(file_, entry.line),
                    near ? "Did you mean '" + *near + "'?" : "An axis is a list:  key = [a, b].");
      }
      for (const Entry& inner : entry.value.table) {
        auto made = axis(entry.key + "." + inner.key, inner.value, inner.line);
        if (!made) return Unexpected<Error>(made.error());
        all.push_back(std::move(*made));
      }
      continue;
    }
    auto made = axis(entry.key, entry.value, entry.line);
    if (!made) return Unexpected<Error>(made.error());
    all.push_back(std::move(*made));
  }
  return all;
}

Result<void> contradictions(const std::vector<Axis>& axes, const Vocabulary& words, const std::string& file) {
  std::map<std::string, std::vector<std::pair<std::string, const Axis*>>> said;  // key → by whom, for which engine
  for (const Axis& axis : axes) {
    std::set<std::string> own;
    for (const Alternative& one : axis.alternatives)
      for (const Setting& setting : one.settings) own.insert(setting.key);
    for (const std::string& whole : own) {
      const auto [scope, key] = scope_of(whole, words);
      for (const auto& [other_scope, other] : said[key]) {
        if (other == &axis || (!scope.empty() && !other_scope.empty() && scope != other_scope)) continue;
        return fail(ErrorCode::usage,
                    "the axes '" + printable(other->name, 60) + "' (line " + std::to_string(other->line) + ") and '" +
                        printable(axis.name, 60) + "' (line " + std::to_string(axis.line) + ") both say '" +
                        printable(key, 60) + "'",
                    at_line(file, axis.line),
                    "Values that change together belong into one axis of { … }; else drop one of the two.");
      }
      said[key].emplace_back(scope, &axis);
    }
  }
  return {};
}

namespace {

std::string engine_of(const Draft& draft, const Vocabulary& words) {
  std::string engine = words.engines.empty() ? std::string() : words.engines.front();
  for (const auto& layer : draft.layers)
    for (const Setting& setting : layer)
      if (setting.key == "engine" && !setting.value.is(Value::Kind::null)) engine = word_of(setting.value);
  return engine;
}

void cross(std::vector<Draft>& drafts, const Axis& axis, const Vocabulary& words) {
  std::vector<Draft> next;
  for (const Draft& draft : drafts) {
    if (!axis.scope.empty() && engine_of(draft, words) != axis.scope) {
      next.push_back(draft);
      continue;
    }
    for (const Alternative& one : axis.alternatives) {
      next.push_back(draft);
      next.back().layers.push_back(one.settings);
      next.back().labels.push_back(one.label);
    }
    if (next.size() > most_variants) break;  // refused by whom asked
  }
  drafts = std::move(next);
}

}  // namespace

std::vector<Draft> combinations(const std::vector<Axis>& axes, const std::vector<Setting>& base,
                                const Vocabulary& words) {
  std::vector<Draft> drafts{{{base}, {}, {}}};
  for (const bool scoped : {false, true})  // which engine a run has must be known before
    for (const Axis& axis : axes)
      if (axis.scope.empty() != scoped) cross(drafts, axis, words);
  return drafts;
}

std::vector<Draft> one_at_a_time(const std::vector<Axis>& axes, const std::vector<Setting>& base,
                                 const Vocabulary& words) {
  std::vector<Draft> drafts{{{base}, {"base"}, {}}};
  for (const Axis& axis : axes) {
    std::vector<Draft> own{{{base}, {}, {}}};
    if (!axis.scope.empty() && engine_of(own.front(), words) != axis.scope) continue;
    cross(own, axis, words);
    drafts.insert(drafts.end(), own.begin(), own.end());
  }
  return drafts;
}

std::vector<Setting> flattened(const Draft& draft, const Vocabulary& words) {
  const std::string engine = engine_of(draft, words);
  std::map<std::string, Setting> all;
  for (const auto& layer : draft.layers)
    for (const bool scoped : {false, true})  // within a layer what is said of the engine wins
      for (const Setting& setting : layer) {
        const auto [scope, key] = scope_of(setting.key, words);
        if (scope.empty() == scoped || (scoped && scope != engine)) continue;
        all[key] = setting;
        all[key].key = key;
      }
  std::vector<Setting> settings;
  for (auto& [key, setting] : all) settings.push_back(std::move(setting));
  return settings;
}

}  // namespace prony::study
