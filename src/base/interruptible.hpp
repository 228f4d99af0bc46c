// Interruptible: something that may wait for somebody else (a plug, a BMC), and can be told not to. Thread promise:
// interrupt() from any thread, at any time; what waits ends soon, and later calls wait for nobody.
#pragma once

namespace prony {

class Interruptible {
 public:
  virtual ~Interruptible() = default;
  virtual void interrupt() noexcept = 0;
};

}  // namespace prony
