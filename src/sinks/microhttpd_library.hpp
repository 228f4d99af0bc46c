// GNU libmicrohttpd as it was found on this machine while the program runs. Ownership: keeps it loaded. Thread promise:
// open_library() by any thread; the functions as libmicrohttpd has it.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "sinks/microhttpd.hpp"

namespace prony::microhttpd {

struct Library {
  DynLib library;
  StartDaemon start = nullptr;
  StopDaemon stop = nullptr;
  LookUp look_up = nullptr;
  CreateResponse create = nullptr;
  AddHeader add_header = nullptr;
  QueueResponse queue = nullptr;
  DestroyResponse destroy = nullptr;
  ConnectionInfo info = nullptr;
  HasFeature has = nullptr;
  SuspendConnection suspend = nullptr;
  ResumeConnection resume = nullptr;

  template <class F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(library.symbol(name));
    return function != nullptr;
  }
  bool find_all() {
    return find(start, "MHD_start_daemon") && find(stop, "MHD_stop_daemon") &&
           find(look_up, "MHD_lookup_connection_value") && find(create, "MHD_create_response_from_buffer") &&
           find(add_header, "MHD_add_response_header") && find(queue, "MHD_queue_response") &&
           find(destroy, "MHD_destroy_response") && find(info, "MHD_get_connection_info") &&
           find(has, "MHD_is_feature_supported") && find(suspend, "MHD_suspend_connection") &&
           find(resume, "MHD_resume_connection");
  }
};

// Error unavailable: it is not here, with how to install it.
[[nodiscard]] Result<Library> open_library();

}  // namespace prony::microhttpd
