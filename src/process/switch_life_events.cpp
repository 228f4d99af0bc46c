// Ends of processes from the switch meter: for users who may load its programs and may not hear of exit events, and
// kernels that have none.
#include <signal.h>

#include <cerrno>
#include <unordered_map>

#include "base/text.hpp"
#include "process/life_events.hpp"
#include "process/proc_files.hpp"
#include "process/switch_meter.hpp"

namespace prony {

namespace {

constexpr std::size_t most_entries = 16384;  // reading the table takes longer the more room it has

class SwitchLifeEvents final : public LifeEvents {
 public:
  explicit SwitchLifeEvents(SwitchMeter meter) : meter_(std::move(meter)) {}

  // What those who live had used before: their clocks. What they use between their clock and this look is the clock's.
  void begin(Machine& machine) {
    for (const std::string& name : machine.list("/proc").value_or(std::vector<std::string>{})) {
      const auto pid = parse_i64(name);
      if (!pid || *pid <= 0) continue;
      if (const auto clock = machine.process_cpu_time(*pid)) {
        Sum& sum = sums_[static_cast<pid_t>(*pid)];
        sum.cpu_ns = clock->ns;
        sum.told = true;  // a look at the list of processes finds it
      }
    }
    (void)meter_.look(look_);
  }

  [[nodiscard]] std::string name() const override { return "ebpf"; }

  void read(LifeBatch& batch) override {
    if (!meter_.look(look_)) return;  // what was not told comes with the next look
    batch.lost_ns += look_.lost_ns;
    touched_.clear();
    for (const SwitchUse& use : look_.uses) {  // one row per package
      Sum& sum = sums_[use.process];
      if (!sum.touched) touched_.push_back(use.process);
      sum.touched = true;
      sum.look_ns += use.cpu_ns;
      if (use.exits == 0) continue;
      sum.first_ended = true;
      sum.after_ns = use.cpu_ns - use.before_exit_ns;
      sum.name = use.name;
    }
    for (const pid_t process : waiting_) look_at_waiting(process);
    waiting_.clear();
    for (const pid_t process : touched_) tell(process, batch);
    for (const pid_t process : still_waiting_) {
      const auto sum = sums_.find(process);
      if (sum != sums_.end()) waiting_.push_back(process);
    }
    still_waiting_.clear();
  }

 private:
  struct Sum {
    std::int64_t cpu_ns = 0;    // since it was born, up to the look before
    std::int64_t look_ns = 0;   // in this look
    std::int64_t after_ns = 0;  // of that, after its first thread ended
    std::array<char, 16> name{};
    bool touched = false, told = false;
    bool first_ended = false;  // its first thread did, in this look
  };
  enum class Number { gone, waits, another };

  // What became of a number whose first thread ended: it waits for its parent (or its other threads), or it is free,
  // or it was given to another process.
  [[nodiscard]] static Number number_now(pid_t process) {
    if (::kill(process, 0) != 0 && errno == ESRCH) return Number::gone;
    const auto stat = read_process_stat(process);
    if (!stat) return Number::gone;
    return stat->state == 'Z' || stat->state == 'X' ? Number::waits : Number::another;
  }

  // One that waited at the look before. Whoever has its number now began in this look.
  void look_at_waiting(pid_t process) {
    const auto found = sums_.find(process);
    if (found == sums_.end()) return;
    Sum& sum = found->second;
    const bool ended_again = sum.first_ended;  // so the number was given again, whoever has it now
    const Number number = number_now(process);
    if (ended_again || number == Number::another) {
      sum.cpu_ns = 0;
      sum.told = false;
    } else if (number == Number::waits) {
      still_waiting_.push_back(process);
    } else if (sum.touched) {
      sum.first_ended = true;  // its last moments: tell() closes the account
    } else {
      sums_.erase(found);
    }
  }

  void tell(pid_t process, LifeBatch& batch) {
    Sum& sum = sums_[process];
    std::int64_t rest = 0;
    bool over = false;
    if (sum.first_ended) {
      const auto number = number_now(process);
      if (number == Number::another) rest = sum.after_ns;
      if (number == Number::waits) still_waiting_.push_back(process);
      over = number != Number::waits;
    }
    sum.cpu_ns += sum.look_ns - rest;
    if (!sum.told) {  // whose child it is, is known of the living only
      const auto stat = over ? std::nullopt : read_process_stat(process);
      batch.births.push_back({stat ? stat->parent : 0, process, process, {}});
    }
    // The living have their process clocks, whose scale this is not quite (stolen time, interrupts): what is told is
    // what no clock can tell any more.
    if (over) batch.ends.push_back({process, sum.cpu_ns, sum.name});
    sum.told = true;
    sum.touched = sum.first_ended = false;
    sum.look_ns = sum.after_ns = 0;
    if (!over) return;
    sums_.erase(process);
    if (rest > 0) sums_[process].cpu_ns = rest;
  }

  SwitchMeter meter_;
  SwitchLook look_;
  std::unordered_map<pid_t, Sum> sums_;
  std::vector<pid_t> touched_;
  std::vector<pid_t> waiting_, still_waiting_;  // their first thread has ended and their number is not free
};

}  // namespace

Result<std::unique_ptr<LifeEvents>> make_switch_life_events(Machine& machine) {
  auto meter = SwitchMeter::create({most_entries});
  if (!meter) return Unexpected<Error>(meter.error());
  auto events = std::make_unique<SwitchLifeEvents>(std::move(*meter));
  events->begin(machine);
  return events;
}

}  // namespace prony
