// remote: sends frames to `prony collect` on another machine. Each is written to disk first (sinks/spool.hpp) and sent
// from there by a thread of its own (sinks/remote_sender.hpp), so a receiver that is away, slow or gone delays nobody,
// and frames outlive a kill of the monitor. Source of the form: docs/collect.md.
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.hpp"
#include "sinks/clocks.hpp"
#include "sinks/remote_sender.hpp"
#include "sinks/series_json.hpp"
#include "sinks/stream.hpp"
#include "sinks/token_file.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

constexpr std::uint64_t usual_bound = 64'000'000;
constexpr std::chrono::milliseconds patience_at_end{3'000};

Instant steady() { return {steady_clock_ns()}; }

std::string random_stream() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// Which running kernel: monitors in containers of one machine say the same, and its joules are counted once.
std::string boot_id() {
  const auto text = read_whole_file("/proc/sys/kernel/random/boot_id", 100);
  return text ? std::string(trim(*text)) : std::string();
}

// What the spool keeps with a stream, and the sender sends once.
std::string head_text(const StreamHead& head, const std::string& client) {
  nlohmann::ordered_json said = {{"version", head.version}, {"host", valid_text(head.host)}};
  if (const std::string boot = boot_id(); !boot.empty()) said["boot"] = boot;
  if (!head.simulated.empty()) said["simulated"] = valid_text(head.simulated);
  said["begun_wall_ns"] = head.wall_ns;
  said["interval_ns"] = head.interval.ns;
  said["series"] = nlohmann::ordered_json::array();
  for (const Series& series : head.series) said["series"].push_back(described(series));
  return nlohmann::ordered_json{{"client", valid_text(client)}, {"head", std::move(said)}}.dump();
}

class RemoteSink final : public StreamSink {
 public:
  RemoteSink(RemotePlan plan, std::string client, std::string folder, std::uint64_t bound)
      : plan_(std::move(plan)), client_(std::move(client)), folder_(std::move(folder)), bound_(bound) {}
  RemoteSink(const RemoteSink&) = delete;
  RemoteSink& operator=(const RemoteSink&) = delete;
  ~RemoteSink() override { (void)close(); }

  Result<void> open(const StreamHead& head) override {
    auto network = open_live_network();
    if (!network) return Unexpected<Error>(network.error());
    network_ = std::move(*network);
    const std::string stream = random_stream();
    if (stream.empty()) return fail(ErrorCode::unavailable, "the system gives no random numbers", "getrandom");
    auto spool = Spool::open(folder_, bound_, stream, head_text(head, client_.empty() ? head.host : client_));
    if (!spool) return Unexpected<Error>(spool.error());
    spool_ = std::move(*spool);
    const std::uint64_t seed = std::hash<std::string>{}(stream);
    sender_ = std::make_unique<RemoteSender>(plan_, *spool_, *network_, RemoteClocks{&steady, &wall_clock_ns}, seed);
    if (const std::uint64_t left = spool_->adopted_frames(); left > 0)
      notes_.push_back(std::to_string(left) + " frames that an earlier monitor could not deliver are sent first");
    if (const std::uint64_t aside = spool_->aside_frames(); aside > 0)
      notes_.push_back(std::to_string(aside) + " frames that will never be taken lie in " + spool_->aside_folder());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  Result<void> write(const Frame& frame) override {
    std::string line = "{\"sequence\":" + std::to_string(sequence_ + 1) +
                       ",\"wall_ns\":" + std::to_string(frame.wall_ns) +
                       ",\"monotonic_ns\":" + std::to_string(frame.at.ns) +
                       ",\"dropped\":" + std::to_string(frame.dropped) + ",\"values\":[";
    for (std::size_t i = 0; i < frame.values.size(); ++i) {
      const auto& value = frame.values[i];
      line += (i > 0 ? "," : "") + (value && std::isfinite(*value) ? format_number(*value) : std::string("null"));
    }
    line += "]}";
    if (auto kept = spool_->append(sequence_ + 1, line, steady()); !kept) return kept;
    ++sequence_;
    if (spool_->waiting_bytes() >= plan_.batch_bytes) wake_.notify_one();
    return {};
  }

  // Tries to deliver what waits, a few seconds at most; the rest waits for the next monitor.
  Result<void> close() override {
    if (!thread_.joinable()) return {};
    {
      std::unique_lock lock(mutex_);
      stop_ = true;
      wake_.notify_one();
      ended_.wait_for(lock, patience_at_end, [&] { return done_; });
    }
    network_->interrupt();
    thread_.join();
    const std::uint64_t left = spool_->waiting_frames(), lost = spool_->lost_frames(), aside = spool_->aside_frames();
    const std::string trouble = sender_->trouble();
    const std::string folder = spool_->folder(), aside_folder = spool_->aside_folder();
    sender_.reset();
    spool_.reset();
    if (left == 0 && lost == 0 && aside == 0) return {};
    std::string words;
    const auto add = [&](std::uint64_t frames, const std::string& what) {
      if (frames > 0) words += (words.empty() ? "" : "; ") + std::to_string(frames) + " frames " + what;
    };
    add(left, "are not delivered yet");
    add(lost, "found no room in the buffer and are lost");
    add(aside, "will never be taken and are set aside in " + aside_folder);
    return fail(ErrorCode::transient, words, trouble.empty() ? folder : trouble,
                left > 0 ? "They wait in " + folder + "; the next monitor that sends from there delivers them." : "");
  }

  std::vector<std::string> notes() override {
    std::vector<std::string> all = std::exchange(notes_, {});
    if (sender_)
      for (std::string& note : sender_->notes()) all.push_back(std::move(note));
    return all;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      lock.unlock();
      const Duration wait = sender_->step();
      lock.lock();
      if (!stop_ && wait.ns > 0) (void)wake_.wait_for(lock, std::chrono::nanoseconds(wait.ns));
    }
    lock.unlock();
    const auto end = std::chrono::steady_clock::now() + patience_at_end;
    while (spool_->waiting_frames() > 0 && std::chrono::steady_clock::now() < end) {
      (void)sender_->step(true);
      if (!sender_->trouble().empty()) break;
    }
    lock.lock();
    done_ = true;
    ended_.notify_one();
  }

  RemotePlan plan_;
  std::string client_, folder_;
  std::uint64_t bound_, sequence_ = 0;
  std::vector<std::string> notes_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<RemoteSender> sender_;
  std::mutex mutex_;
  std::condition_variable wake_, ended_;
  bool stop_ = false, done_ = false;
  std::thread thread_;
};

std::string option(const SinkSpec& spec, const char* name) {
  const auto found = spec.options.find(name);
  return found == spec.options.end() ? std::string() : found->second;
}

// "https://collector:9787" without what may follow; usage errors name the form.
Result<std::string> checked_url(const SinkSpec& spec) {
  if (spec.target.find('@') != std::string::npos)  // before anything else is said, which would repeat it
    return fail(ErrorCode::usage, "a name or password does not belong into an address", "--sink remote",
                "Use token-file=FILE, or user=NAME,password-file=FILE");
  const std::string where = "--sink " + spec.text;
  std::string url = spec.target;
  while (url.ends_with('/')) url.pop_back();
  const bool tls = url.starts_with("https://"), plain = url.starts_with("http://");
  const std::string_view rest = std::string_view(url).substr(tls ? 8 : plain ? 7 : 0);
  const std::string_view host = rest.substr(0, rest.find('/'));
  if ((!tls && !plain) || host.empty() || url.find_first_of("?# \t\r\n\\") != std::string::npos)
    return fail(ErrorCode::usage, "this is no address of a receiver", where, "Write --sink remote:https://HOST:9787");
  const std::string_view name =
      host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  const bool here = name == "localhost" || name == "[::1]" ||
                    (name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string_view::npos);
  const std::string asked = option(spec, "plain-http");
  if (!asked.empty() && asked != "yes") return fail(ErrorCode::usage, "plain-http takes yes", where);
  if (plain && !here && asked.empty())
    return fail(ErrorCode::usage, "without TLS everybody on the way can read and change what is sent", where,
                "Write https://, or add plain-http=yes");
  return url;
}

Result<std::string> buffer_folder(const SinkSpec& spec, const std::string& url) {
  if (const std::string named = option(spec, "buffer"); !named.empty()) return named;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path root;
  if (state != nullptr && *state == '/') root = state;
  if (root.empty() && home != nullptr && *home == '/') root = std::filesystem::path(home) / ".local" / "state";
  if (root.empty())
    return fail(ErrorCode::usage, "there is no place for the buffer: neither HOME nor XDG_STATE_HOME is set",
                "--sink " + spec.text, "Name one:  buffer=DIR");
  std::string word = url.substr(url.find("//") + 2);
  for (char& c : word)
    if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '-') c = '_';
  return (root / "prony" / "remote" / word).string();
}

Result<void> read_secrets(const SinkSpec& spec, RemotePlan& plan) {
  plan.ca_file = option(spec, "ca");
  plan.token_file = option(spec, "token-file");
  plan.user = option(spec, "user");
  plan.password_file = option(spec, "password-file");
  if (plan.user.empty() != plan.password_file.empty())
    return fail(ErrorCode::usage, "user and password-file go together", "--sink " + spec.text);
  if (!plan.token_file.empty() && !plan.user.empty())
    return fail(ErrorCode::usage, "a token, or a password, and not both", "--sink " + spec.text);
  if (!plan.token_file.empty())
    if (const auto tokens = read_tokens(plan.token_file); !tokens) return Unexpected<Error>(tokens.error());
  if (!plan.password_file.empty())
    if (const auto password = read_password(plan.password_file); !password) return Unexpected<Error>(password.error());
  if (!plan.ca_file.empty())
    if (const auto text = read_whole_file(plan.ca_file, std::size_t{1} << 20); !text)
      return Unexpected<Error>(text.error());
  if (plan.user.find(':') != std::string::npos)
    return fail(ErrorCode::usage, "a user's name may hold no ':'", "--sink " + spec.text);
  return {};
}

}  // namespace

Result<std::unique_ptr<StreamSink>> make_remote_stream(const SinkSpec& spec) {
  static constexpr std::array<std::string_view, 9> known{
      "ca", "token-file", "user", "password-file", "plain-http", "buffer", "buffer-size", "every", "name"};
  if (auto sound = check_options(spec, known); !sound) return Unexpected<Error>(sound.error());
  auto url = checked_url(spec);
  if (!url) return Unexpected<Error>(url.error());
  RemotePlan plan;
  plan.url = *url;
  if (auto read = read_secrets(spec, plan); !read) return Unexpected<Error>(read.error());
  auto folder = buffer_folder(spec, *url);
  if (!folder) return Unexpected<Error>(folder.error());
  std::uint64_t bound = usual_bound;
  if (const std::string text = option(spec, "buffer-size"); !text.empty()) {
    const auto bytes = parse_bytes(text);
    if (!bytes || *bytes < Spool::least_bound)
      return fail(ErrorCode::usage, "buffer-size is 1MB or more", "--sink " + spec.text);
    bound = *bytes;
  }
  if (const std::string text = option(spec, "every"); !text.empty()) {
    const auto every = parse_duration_ns(text);
    if (!every || *every < 100'000'000 || *every > 3'600'000'000'000)
      return fail(ErrorCode::usage, "every is 100ms to 1h", "--sink " + spec.text, "Write for example every=5s");
    plan.every = Duration{*every};
  }
  return std::make_unique<RemoteSink>(std::move(plan), option(spec, "name"), std::move(*folder), bound);
}

}  // namespace prony
