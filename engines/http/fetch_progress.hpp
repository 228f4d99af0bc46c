// FetchProgress: what Ollama tells while it fetches a model (/api/pull): one layer after another, bytes of each.
// Thread promise: one thread. Errors: whatever is not understood is passed over; that it did not come to a good end is
// told by failure(). Source: Ollama docs/api.md, "Pull a Model".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "failure.hpp"
#include "stream_parsers.hpp"

namespace prony_http {

class FetchProgress {
 public:
  void feed(std::string_view bytes);  // of the answer's body, cut anywhere
  void finish();                      // the body is over

  // Sums over all layers that were named so far, so `total_bytes` grows while it goes on. 0: none was named yet.
  [[nodiscard]] std::int64_t done_bytes() const noexcept { return done_; }
  [[nodiscard]] std::int64_t total_bytes() const noexcept { return total_; }
  [[nodiscard]] const std::string& words() const noexcept { return words_; }  // the server's, of what it does
  // What went wrong; nullopt: the server said that all is there.
  [[nodiscard]] std::optional<Failure> failure() const;

 private:
  struct Layer {
    std::int64_t done = 0, total = 0;
  };
  void take(StreamEvent&& event);
  void take_layer(const std::string& digest, std::int64_t done, std::int64_t total);

  NdjsonParser lines_;
  std::map<std::string, Layer> layers_;
  std::int64_t done_ = 0, total_ = 0;
  std::string words_;
  bool well_ = false;
  std::optional<Failure> failure_;
};

}  // namespace prony_http
