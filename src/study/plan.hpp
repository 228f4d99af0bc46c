// Plan: all runs of a study, each with its settings and where each came from, made of one study file. Pure; plain
// values. Units: nanoseconds, degrees Celsius. Errors: usage and malformed, each with "FILE:LINE" and the nearest name.
//
//   [study]       name, kind, mode, cycles, order, gaps, limits (Execution below)
//   [base]        settings of every run: names of options of `prony llm` or `prony run`, without dashes
//   [sweep]       KEY = [a, b]: an axis; KEY = [{…}, {}]: settings that change together, {} leaving all as in base;
//   lists
//                 within those are a grid of their own; ENGINE.KEY: only for runs with that engine
//   [[experiments]], [scenarios.NAME]   single runs: what differs from base
//   [machine.NAME]  get, set, verify, restore: commands for a setting of the machine, given as machine.NAME
//   [[prepare]]     command, makes: what is run before the first run where the file it makes is missing
//   [gate]          wait before each run until the machine is as cool as told
//   [schedule]      at, window, days: when runs may be begun
//   base = "FILE"   in place of [base], or beside its keys as  [base] from = "FILE": settings of another file, its
//                   [base] if it has one; those of this file win
// Beside options there are env.NAME (the run's environment), vars.NAME (put in for {NAME} in texts) and machine.NAME.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "study/hours.hpp"
#include "study/order.hpp"
#include "study/value.hpp"

namespace prony::study {

// layers: `prony layers`, of which campaigns are made (study/campaign.hpp); a study file cannot ask for it.
enum class Kind { llm, run, cold_start, layers };
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;

// `value` null: asked for what the program does by itself.
struct Setting {
  std::string key;
  Value value;
  std::string source;  // "base", "sweep threads", "experiment 2", "scenario chat", "base other.toml"
  std::size_t line = 0;
  std::string file = {};  // that the line is of; empty: the study's own
};

struct Variant {
  std::string name;
  std::vector<Setting> settings;  // by key
  std::string canonical, hash;    // of what is run, whatever its name
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  [[nodiscard]] std::string word(std::string_view key) const;  // "" if not set
};

struct MachineSetting {
  std::string name, get, set, verify, restore;  // commands of a shell; {value} and {before} are put in
  std::size_t line = 0;
};

struct Preparation {
  std::vector<std::string> command;
  std::string makes;
  std::size_t line = 0;
};

struct Execution {
  std::size_t cycles = 1;
  Order order = Order::sequential;
  std::optional<std::uint64_t> seed;  // absent: from the design
  std::int64_t experiment_gap_ns = 0, cycle_gap_ns = 0;
  std::int64_t timeout_ns = 3'600'000'000'000;  // of one run
  std::optional<std::int64_t> silence_ns;       // absent: 5 min for language models, none for commands; 0: none
  std::size_t retries = 0;
  std::int64_t back_off_ns = 5'000'000'000;  // before the first retry; doubled each time
  std::size_t stop_after = 10;               // so many failed runs in a row end the study; 0: never
  std::int64_t wall_limit_ns = 0;            // no run is begun later than that; 0: none
  bool deduplicate = true;                   // runs that mean the same are run once
  std::optional<double> max_celsius;         // the gate
  std::int64_t gate_limit_ns = 600'000'000'000;
  Hours hours;                     // in which runs may be begun
  std::uint64_t memory_limit = 0;  // bytes that a run's processes may hold together; 0: none
  std::string notify;              // a command of a shell, run when the study has ended; empty: none
};

// What is known of the words that a study file may hold.
struct Vocabulary {
  std::vector<std::string> llm_keys, run_keys;  // names of options
  std::vector<std::string> repeatable;          // those that may have several values at once
  std::vector<std::string> engines;
};

struct EqualVariants {
  std::string kept;
  std::vector<std::string> dropped;
  std::string why = {};  // of settings that differ and change nothing; empty: they are equal
};

struct Plan {
  std::string name;
  Kind kind = Kind::llm;
  std::vector<std::string> varied;  // keys that differ between variants, in the order of the file
  std::vector<Variant> variants;
  std::vector<EqualVariants> equal;
  std::vector<Variant> not_run;  // whose settings differ from those of one that is run, and change nothing
  std::vector<MachineSetting> machine;
  std::vector<Preparation> prepare;
  Execution execution;
  std::string design;  // canonical text of what is measured: all but Execution
  [[nodiscard]] std::uint64_t seed() const;
  [[nodiscard]] std::vector<Slot> slots() const;
  [[nodiscard]] const MachineSetting* machine_setting(std::string_view name) const noexcept;
};

// Another file that a study takes its base from, read by the caller.
struct BaseFile {
  std::string name;
  Value value;
};
// What the file names, as it is written there; empty: none. Errors: usage.
[[nodiscard]] Result<std::string> base_file_of(const Value& file, const std::string& file_name);

struct PlanChoices {
  bool deduplicate = true;
  std::vector<std::string> scenarios = {};  // only these; empty: all
  std::optional<BaseFile> base = {};        // where the file names one
};

inline constexpr std::size_t most_variants = 20'000;

[[nodiscard]] Result<Plan> make_plan(const Value& file, const std::string& file_name, const Vocabulary& words,
                                     const PlanChoices& choices = {});

// {NAME} of vars.NAME put into a text of the variant; other braces stay.
[[nodiscard]] std::string filled(const Variant& variant, std::string text);
// The run's command line after "prony", without what the study adds of its own: {"llm", "--threads", "2", …}.
[[nodiscard]] std::vector<std::string> command_line(const Plan& plan, const Variant& variant);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> environment(const Variant& variant);

// What differs between two designs, a line each, at most `most`: "f16: threads 2 → 4", "only in the folder: q8". Empty:
// they are the same.
struct DesignRow {
  std::string name, canonical;
  std::vector<std::pair<std::string, std::string>> settings;
};
[[nodiscard]] std::vector<DesignRow> design_rows(const Plan& plan);
[[nodiscard]] std::vector<std::string> design_drift(const std::vector<DesignRow>& before,
                                                    const std::vector<DesignRow>& now, std::size_t most = 20);

}  // namespace prony::study
