#include "fetch_progress.hpp"

#include <algorithm>
#include <utility>

#include "dialect.hpp"

namespace prony_http {

namespace {

constexpr std::size_t most_layers = 4096;
constexpr std::int64_t most_bytes = std::int64_t{1} << 50;  // of one layer: so many of them are no overflow

}  // namespace

void FetchProgress::feed(std::string_view bytes) {
  lines_.feed(bytes, [this](StreamEvent&& event) { take(std::move(event)); });
}

void FetchProgress::finish() {
  lines_.finish([this](StreamEvent&& event) { take(std::move(event)); });
}

void FetchProgress::take(StreamEvent&& event) {
  if (failure_) return;  // the first one is the reason
  const json message = json::parse(event.data, nullptr, false);
  if (auto told = told_error(message, 200)) {
    failure_ = std::move(told);
    return;
  }
  const std::string words = text_of(message, "status");
  if (words.empty()) return;
  words_ = one_line(words, 120);
  well_ = words == "success";
  const std::string digest = text_of(message, "digest");
  if (!digest.empty()) take_layer(digest, whole(message, "completed").value_or(0), whole(message, "total").value_or(0));
}

void FetchProgress::take_layer(const std::string& digest, std::int64_t done, std::int64_t total) {
  if (layers_.size() >= most_layers && !layers_.contains(digest)) return;
  Layer& layer = layers_[digest];
  done_ -= layer.done;
  total_ -= layer.total;
  layer.total = std::min(total, most_bytes);
  layer.done = std::min(done, layer.total);
  done_ += layer.done;
  total_ += layer.total;
}

std::optional<Failure> FetchProgress::failure() const {
  if (failure_) return failure_;
  if (well_) return std::nullopt;
  return Failure{"stream", "the server ended before it said that all was there" +
                               (words_.empty() ? std::string() : " (its last words: " + words_ + ")")};
}

}  // namespace prony_http
