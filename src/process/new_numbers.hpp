// NewNumbers: the process numbers that newcomers can have, so that a look asks for these and need not list everybody.
// The kernel gives numbers out in turn: whoever was born since the last look has one after the newest of then, up to
// the newest of now. A number is out a little before its process shows (on a full machine a little longer), so each is
// asked about at two looks at least, and for a second. Sources: alloc_pid in the kernel's kernel/pid.c,
// fs/proc/loadavg.c. Pure. Thread promise: none of its own. Who takes a number out of turn (clone3 with set_tid) is
// found by a listing.
#pragma once

#include <cstdint>
#include <vector>

#include "model/time.hpp"

namespace prony {

// Whether `number` was given out after the number `before`, up to `newest`; both are known.
[[nodiscard]] constexpr bool given_out_between(std::int64_t before, std::int64_t newest, std::int64_t number) noexcept {
  return newest >= before ? number > before && number <= newest : number > before || number <= newest;
}

class NewNumbers {
 public:
  // A look begins; `newest`: the newest number given out, −1 where that is not known. False: who came since cannot be
  // told by numbers (this is the first look, they began anew, or there are more than `most` to be asked): everybody is
  // to be listed, now and at the next look.
  [[nodiscard]] bool advance(Instant now, std::int64_t newest, std::size_t most);
  // Calls settled(number) for each that is to be asked, ascending; those for which it answers true are done with.
  template <class Settled>
  void ask(Settled settled) {
    std::erase_if(waiting_, [&](const Waiting& one) { return settled(one.number); });
  }
  // This number may be another's by now.
  void ask_again(Instant now, std::int64_t number);
  [[nodiscard]] bool holds(std::int64_t number) const noexcept;

 private:
  struct Waiting {
    std::int64_t number = 0;
    Instant since;
    int asked = 0;
  };
  std::vector<Waiting> waiting_;  // ascending
  std::int64_t newest_ = -1;
  bool list_again_ = false;
};

}  // namespace prony
