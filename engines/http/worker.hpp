// Worker: the worker protocol of docs/worker-protocol.md on one side, a server behind HTTP on the other. Many prompts
// may be under way at once ("streams" of load); each has its span, its stamps and its reply. Thread promise: one thread
// does everything: it waits for the driver and for all sockets at once. Ownership: input and standard output are
// borrowed. Errors: replies of the protocol.
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dialect.hpp"
#include "find_server.hpp"
#include "input.hpp"
#include "poller.hpp"
#include "stream.hpp"

namespace prony_http {

struct WorkerSettings {
  std::string address;  // empty: looked for
  ServerSettings server;
  std::string keep_alive;
  bool pull = false;
  bool cold = false;            // the model leaves the server's memory before it is loaded
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
  [[nodiscard]] Fallible<Found> connect();
  [[nodiscard]] Fallible<Facts> fetch(const LoadSettings& load_settings);
  [[nodiscard]] Fallible<void> leave_memory(const LoadSettings& load_settings);
  [[nodiscard]] Fallible<Facts> wait_for_load(const LoadSettings& load_settings);
  [[nodiscard]] bool misbehaves(const StreamRequest& request);
  [[nodiscard]] bool may_take_a_line() const;
  [[nodiscard]] bool is_idle() const noexcept { return active_.empty() && waiting_.empty() && finished_.empty(); }
  struct Active {
    explicit Active(StreamRequest request, Server& server, Dialect& dialect)
        : stream(std::move(request), server, dialect) {}
    Stream stream;
    int watched = -1;                     // its descriptor, as the poller knows it
    std::int64_t connection_number = -1;  // what that descriptor was
    bool for_writing = false;
    std::int64_t leaves_ns = 0;  // its client goes; 0: it stays
    std::list<std::unique_ptr<Active>>::iterator place;
  };
  [[nodiscard]] bool has_room(std::size_t slots);
  void start_what_is_due();
  void wait();
  void advance(Active& active);
  void follow(Active& active);
  void heed_cancel();
  void settle();
  void never_begun(const StreamRequest& request);
  void error(const std::string& code, const std::string& message, const std::optional<std::string>& id = {});
  void say(const json& message);
  void write_line(std::string line);

  WorkerSettings settings_;
  std::unique_ptr<Dialect> dialect_;
  Input& input_;
  int out_;
  std::unique_ptr<Server> server_;
  std::deque<StreamRequest> waiting_;  // in the order of their times
  Poller poller_;
  std::list<std::unique_ptr<Active>> active_;           // in the order of their begins, and so of their deadlines
  std::set<std::pair<std::int64_t, Active*>> leaving_;  // of them, whose client goes, and when
  std::deque<std::unique_ptr<Active>> finished_;        // not told yet: the recorder has no room for their spans
  std::int64_t crowded_since_ns_ = 0;                   // since when the recorder has no room; 0: it has
  bool input_watched_ = false;
  std::size_t streams_ = 1;
  std::int64_t seed_ = 1;
  std::string fault_;  // "hang-at:2", from PRONY_ENGINE_FAULT
  int prompts_ = 0;
  bool line_cancelled_ = false;  // the line in hand was called off while it waited
  bool loaded_ = false, stopped_ = false, write_failed_ = false;
};

}  // namespace prony_http
