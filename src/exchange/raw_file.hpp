// A file of a folder that another tool's results are in: its name within it, and what is in it. Plain data.
#pragma once

#include <string>

namespace prony::exchange {

struct RawFile {
  std::string name, bytes;
};

}  // namespace prony::exchange
