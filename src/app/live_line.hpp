// The one line that shows life on a terminal while something is measured for longer than a second.
#pragma once

#include <mutex>
#include <string>
#include <thread>

#include "app/session.hpp"
#include "workloads/workload.hpp"

namespace prony::app {

class LiveLine {
 public:
  // Shows nothing if stderr is no terminal or `quiet`.
  LiveLine(Session& session, std::string kind, bool quiet);
  ~LiveLine();  // wipes the line
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;
  void update(const Progress& progress);

 private:
  void show(const std::stop_token& stop);

  Session& session_;
  std::string kind_;
  std::mutex mutex_;
  Progress progress_;
  std::jthread thread_;
};

}  // namespace prony::app
