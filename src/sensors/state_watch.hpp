// StateWatch: files whose text is a state (a governor, a charger's status, a limit), looked at about once a second;
// what changed becomes an Event that names both states. Thread promise: changes() from one thread at a time; any other
// thread may read the Machine meanwhile.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony {

class StateWatch {
 public:
  // `words` turns the file's text into what people read ("3500000" → "3.5 GHz"); none: the text itself.
  using Words = std::function<std::string(std::string_view)>;

  StateWatch(Machine& machine, std::string kind) : machine_(&machine), kind_(std::move(kind)) {}

  // Notes the state as it is now; a file that cannot be read now is not watched. False: it is not.
  bool add(std::string subject, std::string what, std::string path, Words words = {});
  // What is different from the last call. Equal changes of several subjects are one event. After 100 events it says
  // that there are more and is silent. A file that cannot be read keeps its state.
  [[nodiscard]] std::vector<Event> changes();
  [[nodiscard]] bool empty() const noexcept { return states_.empty(); }

 private:
  struct State {
    std::string subject, what, path, words;
    Words tell;
  };
  [[nodiscard]] std::string told(const State& state, std::string_view text) const;

  Machine* machine_;
  std::string kind_;
  std::vector<State> states_;
  std::size_t events_ = 0;
};

}  // namespace prony
