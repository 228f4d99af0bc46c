// Session: everything that measures, opened for one Run: sensors on their lanes, the sampler, the recorder and the one
// thread that carries ticks and spans from there to here. It knows nothing of what is being measured.
// Thread promise: made, started and finished by one thread; the adders may be called from any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "app/common.hpp"
#include "app/control.hpp"
#include "base/result.hpp"
#include "machine/machine.hpp"
#include "process/process_tree.hpp"
#include "reports/figures.hpp"
#include "sampler/sampler.hpp"
#include "sensors/sensor.hpp"
#include "store/recorder.hpp"

namespace prony::app {

// The sensors chosen and made, and what could not be had.
struct SensorSet {
  std::vector<std::unique_ptr<Sensor>> sensors;
  std::vector<Unavailable> unavailable;
  std::vector<Within> within = {};  // channels that lie in another sensor's
  std::vector<Fact> facts = {};     // of devices, for the manifest
};
// `only`: comma-separated catalogue names, empty = all. Unknown names are an error with the nearest name.
[[nodiscard]] Result<SensorSet> open_sensors(Machine& machine, const std::string& only, const SensorOptions& options);

class Session {
 public:
  // Channels of `watchers` (who follow processes), then of the sensors, numbered through and laid on lanes.
  Session(Machine& machine, SensorSet sensors, std::vector<Sensor*> watchers, Duration interval);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Before start(): what is to be watched while it records.
  void control(ControlOptions options);
  // Writes the beginning of the Run, starts the lanes and the carrying thread. Without a recorder nothing is written:
  // blocks are shown, and that is all.
  [[nodiscard]] Result<void> start(std::unique_ptr<Recorder> recorder, const Manifest& manifest);
  // All channels, numbered; fixed after construction.
  [[nodiscard]] const std::vector<Channel>& channels() const noexcept { return channels_; }
  [[nodiscard]] bool simulated() const noexcept { return machine_.kind() == MachineKind::simulated; }
  // Before start(): fills what is known of the channels beyond what their sensors document.
  [[nodiscard]] std::vector<Channel>& channels_to_fill() noexcept { return channels_; }
  [[nodiscard]] const std::vector<Group>& groups() const noexcept { return groups_; }
  // Before start(): each is shown every block on its way to the Run, from the thread that carries it.
  void show_blocks_to(std::function<void(const TickBlock&)> see) { see_.push_back(std::move(see)); }
  // Before start(): each is called from the thread that carries blocks, after each time it did.
  void on_carry(std::function<void()> act) { on_carry_.push_back(std::move(act)); }
  // Goes on in another file, which begins with the `edge`, the last tick of each lane, so that no joule falls between
  // the two. From the thread that carries; → the recorder before, to be closed. Errors: as Recorder::begin(); then the
  // one before stays in use.
  [[nodiscard]] Result<std::unique_ptr<Recorder>> turn_over(std::unique_ptr<Recorder> next, const Manifest& manifest,
                                                            std::span<const TickBlock> edge);
  // What the file in use took so far; 0 without one.
  [[nodiscard]] std::uint64_t bytes_written();
  // Before start(): is told, once, that recording has failed; without it that is said on stderr.
  void on_failure(std::function<void(const Error&)> tell) { tell_failure_ = std::move(tell); }
  // Before start(): this process is the program that is measured, so what it uses is not Prony's own cost.
  void inside_program() noexcept { inside_program_ = true; }
  // Lanes tick when they are asked and not by themselves, until they are woken. Any thread, between start and stop.
  void rest_lanes();
  void wake_lanes();
  // One more tick of every lane, now.
  void tick_now() { sampler_->tick_now(); }
  // Goes on sampling until every counter that moved at all has moved again, so that its last edge is known from both
  // sides; at most `limit`.
  void settle(Duration limit);
  // Stops the lanes and writes what they still hold; spans too.
  void stop_sampling();
  // After stop_sampling(): a sensor did not come back. It stays behind with its thread, and so must the Machine.
  [[nodiscard]] bool stuck() const noexcept { return stuck_; }
  // Writes totals of the lanes and of Prony itself, closes the file. False: recording had failed (already said).
  [[nodiscard]] bool finish(RunState state);

  void add(const Span& span);
  void add(const Event& event);
  void add(const Total& total);
  void add(const Fact& fact);
  void add(const ProcessRecord& process);
  void add(const ProcessLook& look);
  void add(const Target& target);
  void add(const Unavailable& unavailable);
  void add(const ChannelPassport& passport);

  // Newest sum of the headline channels' power, for the live line; negative: not known yet. `mark` says whether it
  // is modelled, derived from a model by a calibration, or neither.
  [[nodiscard]] double watts_now(figures::Mark& mark);

 private:
  void carry(const std::stop_token& stop);
  [[nodiscard]] std::optional<double> watts_of(const Channel& channel, const Reading& reading, Instant at);
  bool carry_all(Duration wait);
  bool carry_one(Duration wait, Duration max_age);
  void complain();
  void note_stuck();
  void show(const TickBlock& block);
  [[nodiscard]] Manifest with_unavailable(const Manifest& manifest) const;
  void complain_of(Sensor& sensor);
  void record_failure(const Error& error);
  void add_own_totals(const std::vector<LaneStats>& lanes);
  template <class F>
  void write(F&& call);

  Machine& machine_;
  SensorSet set_;
  std::vector<Sensor*> watchers_;
  std::vector<Channel> channels_;
  std::vector<Group> groups_;
  std::vector<LanePlan> lanes_;
  std::unique_ptr<Sampler> sampler_;
  std::optional<Control> control_;
  std::mutex recorder_mutex_;
  std::unique_ptr<Recorder> recorder_;
  std::atomic<bool> failed_ = false;
  bool stuck_ = false;
  bool turned_ = false;                  // into another file: nobody was told where to write spans to. The carrier's
  std::vector<std::string> complained_;  // subjects already told, so that each is told once
  std::vector<std::pair<Instant, double>> last_power_;  // per channel: when and what watts_now read
  std::vector<std::function<void(const TickBlock&)>> see_;
  std::vector<std::function<void()>> on_carry_;
  std::function<void(const Error&)> tell_failure_;
  bool inside_program_ = false;
  Duration carrier_cpu_;  // of the carrying thread, when it has ended
  std::jthread carrier_;
};

}  // namespace prony::app
