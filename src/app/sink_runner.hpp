// SinkRunner: a stream sink on a thread of its own, behind a queue of fixed size. Who offers frames never waits: a
// frame for which there is no place is dropped, counted, and the next row tells. Counters are absolute, so what a
// dropped frame said of joules is in the next one. Thread promise: made, offered to and finished by one thread each;
// they may differ. Ownership: owns the sink; a sink that hangs is left behind with its thread. Errors are told in
// words, each kind once until a frame got through again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/time.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

class SinkRunner {
 public:
  static constexpr std::size_t places = 128;
  struct Account {
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;  // no place for them, or the sink could not write them
    bool hangs = false;         // it did not come back, and frames may be lost in it
  };

  // `sink` is open. `tell` is called from the sink's thread.
  SinkRunner(std::string name, std::unique_ptr<StreamSink> sink, std::function<void(const std::string&)> tell);
  ~SinkRunner();
  SinkRunner(const SinkRunner&) = delete;
  SinkRunner& operator=(const SinkRunner&) = delete;

  void offer(std::shared_ptr<const Frame> frame);
  // Writes what is queued and closes the sink; waits for `limit` at most. Idempotent.
  Account finish(Duration limit);
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  struct State;
  std::string name_;
  std::shared_ptr<State> state_;
};

}  // namespace prony::app
