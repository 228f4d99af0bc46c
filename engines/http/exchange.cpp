#include "exchange.hpp"

#include <algorithm>
#include <array>

namespace prony_http {

std::string request_bytes(const Call& call, const Url& url, const std::string& api_key) {
  std::string text = call.method + " " + url.base + call.path + " HTTP/1.1\r\nHost: " + url.authority() +
                     "\r\nUser-Agent: prony/" PRONY_VERSION
                     "\r\nAccept: text/event-stream, application/x-ndjson, application/json\r\n";
  if (!api_key.empty()) text += "Authorization: Bearer " + api_key + "\r\n";
  if (!call.body.empty() || call.method == "POST")
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(call.body.size()) + "\r\n";
  return text + "\r\n" + call.body;
}

Exchange::State Exchange::broken(std::string words) {
  error_ = std::move(words);
  return state_ = State::broken;
}

Exchange::State Exchange::advance(const Sink& sink) {
  while (state_ == State::going && wants_to_write()) {
    const auto sent = connection_->send(std::string_view(request_).substr(sent_));
    // A server that refuses may answer and close before it has read everything: its answer is read all the same.
    if (!sent) sent_ = request_.size();
    if (!sent || *sent == 0) break;
    sent_ += *sent;
  }
  std::array<char, 65536> buffer;
  // Until there is nothing more: TLS may hold bytes that no poll of the socket tells of.
  while (state_ == State::going) {
    // No further than to the end of a chunk: the kernel tells when the last of what is read arrived, and a client that
    // was kept from its socket for a while would give several pieces the stamp of the last.
    const bool plain = connection_->short_means_empty();
    const std::size_t most = plain ? std::min(buffer.size(), response_.wanted()) : buffer.size();
    const Received got = connection_->receive(buffer.data(), most);
    if (got.kind == Received::Kind::nothing_yet) break;
    if (got.kind == Received::Kind::broken)
      return broken((response_.started() ? "the connection broke in mid-answer: " : "the connection broke: ") +
                    got.words);
    if (got.kind == Received::Kind::closed) {
      if (!response_.close()) return broken(response_.error());
      return state_ = State::complete;
    }
    response_.feed({buffer.data(), got.bytes},
                   [&](std::string_view bytes) { sink({bytes, got.stamp_ns, got.kernel_stamped}); });
    if (!response_.error().empty()) return broken(response_.error());
    if (response_.complete()) state_ = State::complete;
    // Asking again would cost a system call for each piece of the stream, to be told that there is nothing.
    if (plain && (got.bytes < most || response_.between_chunks())) break;
  }
  return state_;
}

std::unique_ptr<Connection> Exchange::take_connection() {
  return state_ == State::complete && !wants_to_write() && response_.keeps_alive() ? std::move(connection_) : nullptr;
}

}  // namespace prony_http
