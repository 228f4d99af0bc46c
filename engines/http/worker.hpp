// Worker: the worker protocol of docs/worker-protocol.md on one side, a server behind HTTP on the other. Many prompts
// may be under way at once ("streams" of load); each has its span, its stamps and its reply. Thread promise: one thread
// does everything: it waits for the driver and for all sockets at once. Ownership: input and standard output are
// borrowed. Errors: replies of the protocol.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "dialect.hpp"
#include "find_server.hpp"
#include "input.hpp"
#include "stream.hpp"

namespace prony_http {

struct WorkerSettings {
  std::string address;  // empty: looked for
  ServerSettings server;
  std::string keep_alive;
  bool pull = false;
  std::int64_t timeout_ns = 0;  // of one prompt; 0: none
};

class Worker {
 public:
  Worker(WorkerSettings settings, std::unique_ptr<Dialect> dialect, Input& input, int out);
  [[nodiscard]] int run();

 private:
  void handle(const Line& line);
  void dispatch(const std::string& type, const json& message);
  void load(const json& message);
  void prompt(const json& message);
  void phase(const json& message);
  [[nodiscard]] Fallible<Facts> connect_and_load(const LoadSettings& load_settings);
  [[nodiscard]] bool misbehaves(const StreamRequest& request);
  [[nodiscard]] bool may_take_a_line() const;
  void start_what_is_due();
  void wait();
  void settle();
  void error(const std::string& code, const std::string& message, const std::optional<std::string>& id = {});
  void say(const json& message);
  void write_line(std::string line);

  WorkerSettings settings_;
  std::unique_ptr<Dialect> dialect_;
  Input& input_;
  int out_;
  std::unique_ptr<Server> server_;
  std::deque<StreamRequest> waiting_;  // in the order of their times
  std::vector<std::unique_ptr<Stream>> active_;
  std::size_t streams_ = 1;
  std::int64_t seed_ = 1;
  std::string fault_;  // "hang-at:2", from PRONY_ENGINE_FAULT
  int prompts_ = 0;
  bool line_cancelled_ = false;  // the line in hand was called off while it waited
  bool loaded_ = false, stopped_ = false, write_failed_ = false;
};

}  // namespace prony_http
