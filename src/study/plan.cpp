#include "study/plan.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/text.hpp"
#include "study/axes.hpp"
#include "study/base_file.hpp"
#include "study/execution.hpp"

namespace prony::study {

std::string_view to_string(Kind kind) noexcept {
  switch (kind) {
    case Kind::llm: return "llm";
    case Kind::run: return "run";
    case Kind::cold_start: return "cold-start";
    case Kind::layers: return "layers";
  }
  return "?";
}

const Value* Variant::find(std::string_view key) const noexcept {
  for (const Setting& setting : settings)
    if (setting.key == key) return &setting.value;
  return nullptr;
}

std::string Variant::word(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? std::string() : word_of(*value);
}

std::uint64_t Plan::seed() const {
  if (execution.seed) return *execution.seed;
  std::uint64_t seed = 0;
  const std::string hash = hash_of(design);
  std::from_chars(hash.data(), hash.data() + hash.size(), seed, 16);
  return seed;
}

std::vector<Slot> Plan::slots() const { return schedule(execution.order, variants.size(), execution.cycles, seed()); }

const MachineSetting* Plan::machine_setting(std::string_view wanted) const noexcept {
  for (const MachineSetting& setting : machine)
    if (setting.name == wanted) return &setting;
  return nullptr;
}

namespace {

using Kinds = Value::Kind;

class Planner {
 public:
  Planner(const Value& root, const std::string& file, const Vocabulary& words, const PlanChoices& choices)
      : root_(root), file_(file), words_(words), choices_(choices) {}
  Result<Plan> make();

 private:
  Result<void> head();
  Result<void> machine();
  Result<void> preparations();
  Result<void> base();
  Result<void> sweep();
  Result<void> experiments();
  Result<void> scenarios();
  Result<void> add(const std::vector<Draft>& drafts);
  Result<void> check_cold(const Variant& variant) const;
  Result<void> check(const Variant& variant) const;
  void collapse();
  void name_all();
  void finish();
  [[nodiscard]] Result<const Value*> table(const char* name) const;
  [[nodiscard]] Unexpected<Error> bad(std::string what, std::size_t line, std::string fix = {}) const {
    return fail(ErrorCode::usage, std::move(what), at_line(file_, line), std::move(fix));
  }
  [[nodiscard]] Unexpected<Error> bad(std::string what, const Setting& setting, std::string fix) const {
    return fail(ErrorCode::usage, std::move(what), at_line(setting.file.empty() ? file_ : setting.file, setting.line),
                std::move(fix));
  }

  const Value& root_;
  std::string file_;
  const Vocabulary& words_;
  const PlanChoices& choices_;
  Plan plan_;
  bool one_factor_ = false;
  std::optional<AxisReader> reader_;
  std::vector<Setting> base_;
  std::vector<Draft> drafts_;
};

Result<const Value*> Planner::table(const char* name) const {
  const Value* found = root_.find(name);
  if (found != nullptr && !found->is(Kinds::table))
    return bad("'" + std::string(name) + "' is " + std::string(to_string(found->kind)) + " and no table", found->line,
               "Write  [" + std::string(name) + "]  and its keys below.");
  return found;
}

Result<void> Planner::head() {
  if (!root_.is(Kinds::table) || root_.table.empty())
    return bad("there is nothing in it", 0, "prony help study  shows a whole file.");
  const std::vector<std::string> known{"study",   "base",    "sweep", "experiments", "scenarios",
                                       "machine", "prepare", "gate",  "schedule"};
  for (const Entry& entry : root_.table)
    if (std::ranges::find(known, entry.key) == known.end()) {
      const auto near = nearest_name(entry.key, known);
      return bad("unknown key '" + printable(entry.key, 60) + "'", entry.line,
                 near ? "Did you mean '" + *near + "'?"
                      : "There are: study, base, sweep, experiments, scenarios, machine, prepare, gate, schedule.");
    }
  const auto study = table("study");
  if (!study) return Unexpected<Error>(study.error());
  const auto gate = table("gate");
  if (!gate) return Unexpected<Error>(gate.error());
  const auto schedule = table("schedule");
  if (!schedule) return Unexpected<Error>(schedule.error());
  const auto other = table_of_base_file(root_, file_, choices_.base);
  if (!other) return Unexpected<Error>(other.error());
  const auto has_command = [](const Value* base) { return base != nullptr && base->find("command") != nullptr; };
  plan_.kind = has_command(root_.find("base")) || has_command(*other) ? Kind::run : Kind::llm;
  StudyHead head{plan_.name, plan_.kind, one_factor_, plan_.execution};
  if (*study != nullptr)
    if (auto read = read_head(**study, file_, head); !read) return read;
  if (*gate != nullptr)
    if (auto read = read_gate(**gate, file_, plan_.execution); !read) return read;
  if (*schedule != nullptr)
    if (auto read = read_schedule(**schedule, file_, plan_.execution.hours); !read) return read;
  reader_.emplace(file_, words_, plan_.kind);
  return {};
}

Result<void> Planner::machine() {
  const auto found = table("machine");
  if (!found) return Unexpected<Error>(found.error());
  if (*found == nullptr) return {};
  for (const Entry& entry : (*found)->table) {
    if (!entry.value.is(Kinds::table)) return bad("'machine." + printable(entry.key, 60) + "' is no table", entry.line);
    MachineSetting setting;
    setting.name = entry.key;
    setting.line = entry.line;
    const std::map<std::string, std::string*> fields{
        {"get", &setting.get}, {"set", &setting.set}, {"verify", &setting.verify}, {"restore", &setting.restore}};
    for (const Entry& field : entry.value.table) {
      const auto at = fields.find(field.key);
      if (at == fields.end() || !field.value.is(Kinds::text))
        return bad("'" + printable(field.key, 60) + "' is none of get, set, verify, restore, each a command as text",
                   field.line);
      *at->second = field.value.text;
    }
    if (setting.get.empty() || setting.set.empty())
      return bad("machine." + printable(entry.key, 60) + " needs get and set", entry.line,
                 "get prints the value in force, so that it can be put back; set has {value} in it.");
    if (setting.set.find("{value}") == std::string::npos)
      return bad("set has no {value} in it", entry.line, "It stands for the value that a run asks for.");
    if (setting.verify.empty()) setting.verify = setting.get;
    if (setting.restore.empty()) {
      setting.restore = setting.set;  // wherever the value stands: nvidia-smi -lgc {value},{value}
      for (std::size_t at = 0; (at = setting.restore.find("{value}", at)) != std::string::npos;)
        setting.restore.replace(at, 7, "{before}");
    } else if (setting.restore.find("{value}") != std::string::npos) {
      return bad("restore has {value} in it", entry.line, "What was before stands for  {before}  there.");
    }
    plan_.machine.push_back(std::move(setting));
  }
  return {};
}

Result<void> Planner::preparations() {
  const Value* found = root_.find("prepare");
  if (found == nullptr) return {};
  if (!found->is(Kinds::list)) return bad("'prepare' is no list of tables", found->line, "Write  [[prepare]].");
  for (const Value& item : found->list) {
    Preparation one;
    one.line = item.line;
    for (const Entry& entry : item.table) {
      if (entry.key == "makes" && entry.value.is(Kinds::text)) {
        one.makes = entry.value.text;
      } else if (entry.key == "command" && entry.value.is(Kinds::list)) {
        for (const Value& word : entry.value.list) one.command.push_back(word_of(word));
      } else {
        return bad("'" + printable(entry.key, 60) + "' is neither command (a list of words) nor makes (a file)",
                   entry.line);
      }
    }
    if (one.command.empty() || one.command.front().empty() || one.makes.empty())
      return bad("a preparation needs command and makes", one.line,
                 "command is a list of words, makes the file that is there afterwards.");
    plan_.prepare.push_back(std::move(one));
  }
  return {};
}

Result<void> Planner::base() {
  auto settings = base_settings(root_, file_, choices_.base, words_, plan_.kind);
  if (!settings) return Unexpected<Error>(settings.error());
  base_ = std::move(*settings);
  return {};
}

// Keys of engines that nobody named: those engines are what is compared.
void imply_engines(std::vector<Axis>& axes, const std::vector<Setting>& base) {
  std::vector<std::string> engines;
  for (const Axis& axis : axes) {
    for (const Alternative& one : axis.alternatives)
      for (const Setting& setting : one.settings)
        if (setting.key == "engine") return;
    if (!axis.scope.empty() && std::ranges::find(engines, axis.scope) == engines.end()) engines.push_back(axis.scope);
  }
  for (const Setting& setting : base)
    if (setting.key == "engine") return;
  if (engines.empty()) return;
  Axis implied{"engine", "", {}, axes.front().line};
  for (const std::string& engine : engines)
    implied.alternatives.push_back({"engine=" + engine, {{"engine", text_value(engine), "sweep " + engine + ".*", 0}}});
  axes.insert(axes.begin(), std::move(implied));
}

Result<void> Planner::sweep() {
  const auto found = table("sweep");
  if (!found) return Unexpected<Error>(found.error());
  if (*found == nullptr || !choices_.scenarios.empty()) return {};
  auto axes = reader_->axes(**found);
  if (!axes) return Unexpected<Error>(axes.error());
  if (auto good = contradictions(*axes, words_, file_); !good) return good;
  imply_engines(*axes, base_);
  double count = 1;
  for (const Axis& axis : *axes)
    count = one_factor_ ? count + static_cast<double>(axis.alternatives.size())
                        : count * static_cast<double>(axis.alternatives.size());
  if (count > static_cast<double>(most_variants))
    return fail(ErrorCode::full, "the axes make " + format_number(count) + " variants", at_line(file_, (*found)->line),
                "At most " + std::to_string(most_variants) + ". mode = \"one-factor\" varies one axis at a time.");
  if (axes->empty()) return {};
  const auto drafts = one_factor_ ? one_at_a_time(*axes, base_, words_) : combinations(*axes, base_, words_);
  for (const Axis& axis : *axes) {
    if (axis.scope.empty()) continue;
    const std::string source = "sweep " + axis.name;
    const bool used = std::ranges::any_of(drafts, [&](const Draft& draft) {
      return std::ranges::any_of(draft.layers, [&](const std::vector<Setting>& layer) {
        return !layer.empty() && layer.front().source == source;
      });
    });
    if (!used)
      return bad("no run has the engine of the axis '" + axis.name + "'", axis.line,
                 "Name it:  engine = [\"" + axis.scope + "\", …]  under [sweep], or under [base].");
  }
  return add(drafts);
}

Result<void> Planner::experiments() {
  const Value* found = root_.find("experiments");
  if (found == nullptr || !choices_.scenarios.empty()) return {};
  if (!found->is(Kinds::list)) return bad("'experiments' is no list of tables", found->line, "Write  [[experiments]].");
  std::size_t number = 0;
  for (const Value& item : found->list) {
    const std::string source = "experiment " + std::to_string(++number);
    if (!item.is(Kinds::table)) return bad(source + " is no table", item.line);
    auto made = reader_->grid(item, source);
    if (!made) return Unexpected<Error>(made.error());
    const Value* name = item.find("name");
    std::vector<Draft> drafts;
    for (Alternative& one : *made)
      drafts.push_back({{base_, std::move(one.settings)},
                        {one.label},
                        name == nullptr ? std::string() : word_of(*name) + (made->size() > 1 ? " " + one.label : "")});
    if (auto done = add(drafts); !done) return done;
  }
  return {};
}

Result<void> Planner::scenarios() {
  const auto found = table("scenarios");
  if (!found) return Unexpected<Error>(found.error());
  std::vector<std::string> names;
  if (*found != nullptr)
    for (const Entry& entry : (*found)->table) names.push_back(entry.key);
  for (const std::string& wanted : choices_.scenarios)
    if (std::ranges::find(names, wanted) == names.end()) {
      const auto near = nearest_name(wanted, names);
      return fail(ErrorCode::usage, "no scenario is called '" + printable(wanted, 60) + "'", file_,
                  near ? "Did you mean '" + *near + "'?" : "Scenarios stand under [scenarios.NAME].");
    }
  if (*found == nullptr) return {};
  for (const Entry& entry : (*found)->table) {
    if (!choices_.scenarios.empty() && std::ranges::find(choices_.scenarios, entry.key) == choices_.scenarios.end())
      continue;
    if (!entry.value.is(Kinds::table))
      return bad("the scenario '" + printable(entry.key, 60) + "' is no table", entry.line);
    auto made = reader_->grid(entry.value, "scenario " + entry.key);
    if (!made) return Unexpected<Error>(made.error());
    std::vector<Draft> drafts;
    for (Alternative& one : *made)
      drafts.push_back({{base_, std::move(one.settings)}, {}, entry.key + (made->size() > 1 ? " " + one.label : "")});
    if (auto done = add(drafts); !done) return done;
  }
  return {};
}

bool holds_braces(const Value& value, const std::string& name) {
  if (value.is(Kinds::text)) return value.text.find("{" + name + "}") != std::string::npos;
  return std::ranges::any_of(value.list, [&](const Value& item) { return holds_braces(item, name); });
}

// A server that keeps its model in memory starts warm, and a prompt before the first one that counts makes it warm.
Result<void> Planner::check_cold(const Variant& variant) const {
  for (const Setting& setting : variant.settings) {
    const std::string word = setting.value.scalar() ? word_of(setting.value) : std::string();
    if (setting.key == "engine" && setting.value.scalar() && word != "llama" && word != "transformers" &&
        word != "ollama")
      return bad("no start of '" + printable(word, 40) + "' can be made a cold one", setting,
                 "It can of llama, transformers and ollama; other servers keep their model in memory.");
    if ((setting.key == "warmup" && word != "0") || setting.key == "warmup-until")
      return bad("a cold start has no warm-up", setting, "Leave it out: the first prompt is what is measured.");
    if ((setting.key == "synthetic" || setting.key == "shared-prefix") && !setting.value.is(Kinds::null))
      return bad("made texts ask the model twice before the first prompt, to learn how it counts words: no cold start",
                 setting, "Give the prompts as they are, in a file:  prompts = \"FILE\"");
  }
  return {};
}

Result<void> Planner::check(const Variant& variant) const {
  for (const Setting& setting : variant.settings) {
    if (setting.key.starts_with("machine.")) {
      const std::string name = setting.key.substr(8);
      if (plan_.machine_setting(name) != nullptr) continue;
      std::vector<std::string> names;
      for (const MachineSetting& known : plan_.machine) names.push_back(known.name);
      const auto near = nearest_name(name, names);
      return bad("nothing says how to set '" + printable(setting.key, 60) + "'", setting,
                 near ? "Did you mean 'machine." + *near + "'?"
                      : "Write  [machine." + name + "]  with its commands get and set.");
    }
    if (!setting.key.starts_with("vars.")) continue;
    const std::string name = setting.key.substr(5);
    const auto used = [&](const Setting& other) { return holds_braces(other.value, name); };
    const bool in_machine = std::ranges::any_of(plan_.machine, [&](const MachineSetting& known) {
      return (known.get + known.set + known.verify + known.restore).find("{" + name + "}") != std::string::npos;
    });
    if (!in_machine && std::ranges::none_of(variant.settings, used))
      return bad("'" + printable(setting.key, 60) + "' changes nothing", setting,
                 "Put {" + name + "} where its value shall stand.");
  }
  if (plan_.kind == Kind::cold_start)
    if (auto good = check_cold(variant); !good) return good;
  const Value* command = variant.find("command");
  if (plan_.kind == Kind::run &&
      (command == nullptr || command->is(Kinds::null) || (command->is(Kinds::list) && command->list.empty())))
    return bad("a run without a command", variant.settings.empty() ? 0 : variant.settings.front().line,
               "Write  command = [\"./program\", \"argument\"]  under [base].");
  return {};
}

Result<void> Planner::add(const std::vector<Draft>& drafts) {
  for (const Draft& draft : drafts) {
    Variant variant;
    variant.settings = flattened(draft, words_);
    variant.name = draft.name;
    if (variant.name.empty())
      for (const std::string& label : draft.labels) variant.name += (variant.name.empty() ? "" : " ") + label;
    if (variant.name.empty()) variant.name = "base";
    for (const Setting& setting : variant.settings)
      variant.canonical += setting.key + " = " + canonical(setting.value) + "\n";
    variant.hash = hash_of(variant.canonical);
    if (auto good = check(variant); !good) return good;
    plan_.variants.push_back(std::move(variant));
    if (plan_.variants.size() > most_variants)
      return fail(ErrorCode::full, "more than " + std::to_string(most_variants) + " variants", file_);
  }
  return {};
}

// What is asked for without what changes nothing beside the rest: at temperature 0 an answer is made of the likeliest
// tokens, among however many they are looked for. A worker of the user's own may see that otherwise.
std::string meaning_of(const Variant& variant, Kind kind) {
  const Value* worker = variant.find("worker");
  const bool own = worker != nullptr && !worker->is(Value::Kind::null);
  const std::string temperature = variant.word("temperature");
  const bool greedy = temperature.empty() || parse_finite(temperature) == 0.0;
  if (kind == Kind::run || kind == Kind::layers || own || !greedy) return variant.canonical;
  std::string text;
  for (const Setting& setting : variant.settings)
    if (setting.key != "top-k" && setting.key != "top-p") text += setting.key + " = " + canonical(setting.value) + "\n";
  return text;
}

void Planner::collapse() {
  std::map<std::string, std::size_t> first;
  std::map<std::size_t, EqualVariants> equal;
  std::vector<Variant> kept;
  for (Variant& variant : plan_.variants) {
    const auto [at, fresh] = first.emplace(meaning_of(variant, plan_.kind), kept.size());
    if (!fresh) {
      EqualVariants& group = equal[at->second];
      group.kept = kept[at->second].name;
      group.dropped.push_back(variant.name);
      if (variant.canonical != kept[at->second].canonical)
        group.why = "at temperature 0 top-k and top-p change nothing";
      if (choices_.deduplicate && plan_.execution.deduplicate) {
        if (!group.why.empty()) plan_.not_run.push_back(std::move(variant));
        continue;
      }
    }
    kept.push_back(std::move(variant));
  }
  plan_.variants = std::move(kept);
  for (auto& [at, group] : equal) plan_.equal.push_back(std::move(group));
}

// Where one thing alone is varied, its value is name enough; equal names are told apart by a number.
void Planner::name_all() {
  std::map<std::string, std::set<std::string>> values;
  std::vector<std::string> order;
  for (const Variant& variant : plan_.variants)
    for (const Setting& setting : variant.settings) {
      if (values[setting.key].empty()) order.push_back(setting.key);
      values[setting.key].insert(canonical(setting.value));
    }
  for (const std::string& key : order) {
    const bool everywhere =
        std::ranges::all_of(plan_.variants, [&](const Variant& v) { return v.find(key) != nullptr; });
    if (values[key].size() > 1 || !everywhere) plan_.varied.push_back(key);
  }
  if (plan_.varied.size() == 1) {
    const std::string prefix = plan_.varied.front() + "=";
    for (Variant& variant : plan_.variants)
      if (variant.name.starts_with(prefix) && variant.name.size() > prefix.size()) variant.name.erase(0, prefix.size());
  }
  std::map<std::string, std::size_t> seen;
  for (Variant& variant : plan_.variants) {
    const std::string name = variant.name;
    if (const std::size_t times = ++seen[name]; times > 1) variant.name = name + " (" + std::to_string(times) + ")";
  }
}

void Planner::finish() {
  plan_.design = "kind = " + std::string(to_string(plan_.kind)) + "\n";
  for (const MachineSetting& setting : plan_.machine)
    plan_.design += "machine " + setting.name + "\n" + setting.set + "\n" + setting.verify + "\n";
  for (const DesignRow& row : design_rows(plan_)) plan_.design += "[" + row.name + "]\n" + row.canonical;
}

Result<Plan> Planner::make() {
  for (const auto step : {&Planner::head, &Planner::machine, &Planner::preparations, &Planner::base, &Planner::sweep,
                          &Planner::experiments, &Planner::scenarios})
    if (auto done = (this->*step)(); !done) return Unexpected<Error>(done.error());
  if (plan_.variants.empty())
    if (auto done = add({{{base_}, {}, {}}}); !done) return Unexpected<Error>(done.error());
  collapse();
  name_all();
  finish();
  return std::move(plan_);
}

}  // namespace

Result<Plan> make_plan(const Value& file, const std::string& file_name, const Vocabulary& words,
                       const PlanChoices& choices) {
  return Planner(file, file_name, words, choices).make();
}

std::vector<DesignRow> design_rows(const Plan& plan) {
  std::vector<DesignRow> rows;
  for (const Variant& variant : plan.variants) {
    DesignRow row{variant.name, variant.canonical, {}};
    for (const Setting& setting : variant.settings) row.settings.emplace_back(setting.key, canonical(setting.value));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> design_drift(const std::vector<DesignRow>& before, const std::vector<DesignRow>& now,
                                      std::size_t most) {
  const auto named = [](const std::vector<DesignRow>& rows, const std::string& name) -> const DesignRow* {
    const auto at = std::ranges::find(rows, name, &DesignRow::name);
    return at == rows.end() ? nullptr : &*at;
  };
  std::vector<std::string> lines;
  for (const DesignRow& row : before)
    if (named(now, row.name) == nullptr) lines.push_back("no longer in the file: " + row.name);
  for (const DesignRow& row : now) {
    const DesignRow* old = named(before, row.name);
    if (old == nullptr) {
      lines.push_back("not yet in the folder: " + row.name);
      continue;
    }
    std::map<std::string, std::pair<std::string, std::string>> both;
    for (const auto& [key, value] : old->settings) both[key].first = value;
    for (const auto& [key, value] : row.settings) both[key].second = value;
    for (const auto& [key, pair] : both)
      if (pair.first != pair.second)
        lines.push_back(row.name + ": " + key + " " + (pair.first.empty() ? "(not set)" : pair.first) + " → " +
                        (pair.second.empty() ? "(not set)" : pair.second));
  }
  if (lines.size() > most) {
    const std::size_t more = lines.size() - most;
    lines.resize(most);
    lines.push_back("and " + std::to_string(more) + " more");
  }
  return lines;
}

}  // namespace prony::study
