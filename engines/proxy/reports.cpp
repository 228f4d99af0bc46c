#include "reports.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace prony_proxy {

using prony_http::json;

json to_json(const Seen& seen) {
  json line = {{"type", "request"},         {"n", seen.number},          {"dialect", seen.dialect},
               {"path", seen.path},         {"model", seen.model},       {"outcome", seen.outcome},
               {"streamed", seen.streamed}, {"begin_ns", seen.begin_ns}, {"end_ns", seen.end_ns}};
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) line[key] = value;
  };
  const auto count = [&](const char* key, const std::optional<std::int64_t>& value) {
    if (value) line[key] = *value;
  };
  text("error", seen.error);
  text("finish", seen.finish);
  text("elsewhere", seen.elsewhere);
  text("no_tokens", seen.no_tokens);
  if (seen.status != 0) line["status"] = seen.status;
  if (seen.first_ns != 0) {
    line["first_ns"] = seen.first_ns;
    line["last_ns"] = seen.last_ns;
    line["chunks"] = seen.chunks;
  }
  count("prompt_tokens", seen.prompt_tokens);
  count("cached_tokens", seen.cached_tokens);
  count("output_tokens", seen.output_tokens);
  count("server_load_ns", seen.load_ns);
  count("server_queue_ns", seen.queue_ns);
  count("server_prefill_ns", seen.prefill_ns);
  count("server_decode_ns", seen.decode_ns);
  return line;
}

Reports::Reports(int fd) : fd_(fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void Reports::meter_is_gone() {
  gone_ = true;
  waiting_.clear();
  waiting_bytes_ = first_sent_ = 0;
}

void Reports::say(const json& message) {
  if (gone_) return;
  std::string line = prony_http::dump(message) + "\n";
  if (waiting_bytes_ + line.size() > most_waiting_bytes) {
    ++lost_;
    return;
  }
  waiting_bytes_ += line.size();
  waiting_.push_back(std::move(line));
  flush();
}

void Reports::flush() {
  while (wants_to_write()) {
    const std::string& line = waiting_.front();
    const ssize_t got = ::write(fd_, line.data() + first_sent_, line.size() - first_sent_);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) meter_is_gone();
      return;
    }
    first_sent_ += static_cast<std::size_t>(got);
    if (first_sent_ < line.size()) return;
    waiting_bytes_ -= line.size();
    first_sent_ = 0;
    waiting_.pop_front();
  }
}

}  // namespace prony_proxy
