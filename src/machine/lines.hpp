// LineSource: something that writes lines while Prony listens: a program that is started for it, a serial port, a file
// that grows. A live machine opens what is there; a simulated one hands out texts; a captured one has none.
// Thread promise: one thread reads at a time; interrupt() from any. Ownership: owns its descriptor and its program,
// which gets SIGTERM, and SIGKILL half a second later, when the source ends. Errors of opening: absent, denied, as of
// open(2) and exec; usage (no such baud rate). Errors of reading: gone (the program ended, the port was pulled,
// interrupted). Source: termios(3), inotify is not needed: a file is asked again.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"
#include "model/time.hpp"

namespace prony {

struct LineRequest {
  enum class Kind { program, serial, file } kind = Kind::program;
  std::string target;        // a command line for the shell, a device, a path
  unsigned baud = 9600;      // serial: 8 data bits, no parity, no flow control
  bool from_the_end = true;  // file: what was there before is not read
};

class LineSource {
 public:
  virtual ~LineSource() = default;
  // Bytes read into `buffer`; 0: nothing came within `wait`.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<char> buffer, Duration wait) = 0;
  // What waits in read() ends within a tenth of a second, and later calls at once.
  virtual void interrupt() noexcept = 0;
};

// Only machine's own files call it.
[[nodiscard]] Result<std::unique_ptr<LineSource>> open_live_lines(const LineRequest& request);
// `text` at once, and then nothing more, for ever: for simulated machines.
[[nodiscard]] std::unique_ptr<LineSource> make_text_lines(std::string text);

}  // namespace prony
