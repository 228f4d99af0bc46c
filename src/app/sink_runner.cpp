#include "app/sink_runner.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "app/common.hpp"

namespace prony::app {

struct SinkRunner::State {
  std::string name;
  std::unique_ptr<StreamSink> sink;
  std::function<void(const std::string&)> tell;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<const Frame>> queue;
  bool stop = false, ended = false;
  Account account;

  // The sink's thread alone.
  std::string trouble;  // what was told last; "": nothing is wrong
  std::uint64_t told_dropped = 0;

  void run();
  void write(const Frame& frame, std::uint64_t dropped);
  void say(const Error& error);
};

void SinkRunner::State::say(const Error& error) {
  if (error.what == trouble) return;
  trouble = error.what;
  Error said = error;
  said.what = name + ": " + error.what;
  const std::string text = error_text(said);  // "prony: …\n", both of which whoever tells puts there
  constexpr std::size_t begin = std::string_view("prony: ").size();
  tell(text.substr(begin, text.size() - begin - 1));
}

void SinkRunner::State::write(const Frame& frame, std::uint64_t dropped) {
  Frame copy = frame;
  copy.dropped = dropped;
  const auto written = sink->write(copy);
  for (const std::string& note : sink->notes()) tell(name + ": " + note);
  if (!written) say(written.error());
  if (written) {
    trouble.clear();
    if (dropped > told_dropped)
      tell(name + ": goes on; " + std::to_string(dropped) + " frames so far could not be written or came too fast");
    told_dropped = dropped;
  }
  const std::scoped_lock lock(mutex);
  ++(written ? account.written : account.dropped);
}

void SinkRunner::State::run() {
  for (const std::string& note : sink->notes()) tell(name + ": " + note);
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stop || !queue.empty(); });
    if (queue.empty()) break;
    const auto frame = std::move(queue.front());
    queue.pop_front();
    const std::uint64_t dropped = account.dropped;
    lock.unlock();
    write(*frame, dropped);
    lock.lock();
  }
  lock.unlock();
  if (const auto closed = sink->close(); !closed) say(closed.error());
  lock.lock();
  ended = true;
  changed.notify_all();
}

SinkRunner::SinkRunner(std::string name, std::unique_ptr<StreamSink> sink, std::function<void(const std::string&)> tell)
    : name_(std::move(name)), state_(std::make_shared<State>()) {
  state_->name = name_;
  state_->sink = std::move(sink);
  state_->tell = std::move(tell);
  std::thread([state = state_] { state->run(); }).detach();  // finish() waits for its end, as long as it may
}

SinkRunner::~SinkRunner() { (void)finish(milliseconds(2000)); }

void SinkRunner::offer(std::shared_ptr<const Frame> frame) {
  const std::scoped_lock lock(state_->mutex);
  if (state_->queue.size() >= places) {
    ++state_->account.dropped;
    return;
  }
  state_->queue.push_back(std::move(frame));
  state_->changed.notify_all();
}

SinkRunner::Account SinkRunner::finish(Duration limit) {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  const bool ended = state_->changed.wait_for(lock, std::chrono::nanoseconds(limit.ns), [&] { return state_->ended; });
  Account account = state_->account;
  account.hangs = !ended;
  if (!ended) account.dropped += state_->queue.size();
  return account;
}

}  // namespace prony::app
