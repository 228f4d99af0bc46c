// Axes: from the tables of a study file to lists of settings, one list a variant. Pure; of this part alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "study/plan.hpp"

namespace prony::study {

// One thing that may be chosen: what it sets, and what people call it.
struct Alternative {
  std::string label;
  std::vector<Setting> settings;
};

struct Axis {
  std::string name, scope;  // the engine that it is for; "": every run
  std::vector<Alternative> alternatives;
  std::size_t line = 0;
};

// One run before it is given a name: settings by layer, the later one winning.
struct Draft {
  std::vector<std::vector<Setting>> layers;
  std::vector<std::string> labels;  // "key=value", of the axes in their order
  std::string name;                 // given by the file; empty: made of the labels
};

class AxisReader {
 public:
  AxisReader(const std::string& file, const Vocabulary& words, Kind kind);
  // Settings of a table, nested ones with their prefix ("env.", "llama."); `skip`: keys that are not settings.
  [[nodiscard]] Result<std::vector<Setting>> settings(const Value& table, const std::string& source,
                                                      const std::vector<std::string>& skip = {}) const;
  // The same where lists are a grid: every combination.
  [[nodiscard]] Result<std::vector<Alternative>> grid(const Value& table, const std::string& source) const;
  [[nodiscard]] Result<std::vector<Axis>> axes(const Value& sweep) const;
  [[nodiscard]] Result<void> check_key(const std::string& key, std::size_t line) const;
  [[nodiscard]] bool is_engine(std::string_view word) const;

 private:
  [[nodiscard]] Result<Axis> axis(const std::string& key, const Value& value, std::size_t line) const;
  [[nodiscard]] bool may_be_list(const std::string& key) const;
  [[nodiscard]] Result<void> gather(const Value& table, const std::string& prefix, const std::string& source,
                                    const std::vector<std::string>& skip, std::vector<Setting>& out) const;

  std::string file_;
  const Vocabulary& words_;
  Kind kind_;
};

// "llama.threads" → {"llama", "threads"} where the first is an engine; else {"", key}.
[[nodiscard]] std::pair<std::string, std::string> scope_of(const std::string& key, const Vocabulary& words);
// Two axes that set one thing: an error that names both.
[[nodiscard]] Result<void> contradictions(const std::vector<Axis>& axes, const Vocabulary& words,
                                          const std::string& file);
[[nodiscard]] std::vector<Draft> combinations(const std::vector<Axis>& axes, const std::vector<Setting>& base,
                                              const Vocabulary& words);
[[nodiscard]] std::vector<Draft> one_at_a_time(const std::vector<Axis>& axes, const std::vector<Setting>& base,
                                               const Vocabulary& words);
// The layers laid over each other for the engine that they say; settings of other engines are left out.
[[nodiscard]] std::vector<Setting> flattened(const Draft& draft, const Vocabulary& words);

}  // namespace prony::study
