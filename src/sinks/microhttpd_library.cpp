#include "sinks/microhttpd_library.hpp"

#include <utility>

namespace prony::microhttpd {

Result<Library> open_library() {
  Library functions;
  auto library = DynLib::open("libmicrohttpd.so.12");
  if (library) {
    functions.library = std::move(*library);
    if (functions.find_all()) return functions;
  }
  return fail(ErrorCode::unavailable, "libmicrohttpd.so.12 is not here, which answers HTTP", {},
              "Install it:  sudo apt install libmicrohttpd12   (Ubuntu 24.04: libmicrohttpd12t64)");
}

}  // namespace prony::microhttpd
