#include "sinks/remote_sender.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"
#include "sinks/token_file.hpp"

namespace prony {

namespace {

constexpr std::uint64_t frames_at_once = 2'000;
constexpr double first_wait_s = 0.5, longest_wait_s = 30;
constexpr std::size_t offsets_kept = 16, answer_limit = 64 * 1024;
constexpr std::int64_t latest_time_ns = 4'000'000'000'000'000'000, most_doubt_ns = 3'600'000'000'000;
constexpr int batches_a_step = 32;  // then it looks whether it is to end

Duration seconds_of(double s) { return Duration{static_cast<std::int64_t>(s * 1e9)}; }

std::optional<std::int64_t> number(const nlohmann::json& answer, const char* key) {
  if (!answer.is_object()) return std::nullopt;
  const auto found = answer.find(key);
  if (found == answer.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

// Only prony collect itself knows that a frame does not fit its stream, or that it will never take one.
bool says(const HttpResponse& answer, const char* mark) {
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  return body.is_object() && body.value(mark, nlohmann::json()) == nlohmann::json(true);
}

// Times of clocks that somebody else tells: what cannot be one is none (1970 to 2096), so that differences do not
// overflow.
std::optional<std::int64_t> time_of(const nlohmann::json& answer, const char* key) {
  const auto ns = number(answer, key);
  return ns && *ns >= 0 && *ns <= latest_time_ns ? ns : std::nullopt;
}

std::string words_of(const HttpResponse& answer) {
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  std::string said;
  if (body.is_object() && body.contains("error") && body["error"].is_string()) said = body["error"].get<std::string>();
  switch (answer.status) {
    case 401:
    case 403: return "the receiver does not know the token or password";
    case 413: return "the receiver takes no request of this size";
    case 429: return "the receiver asks to wait";
    default: break;
  }
  return "the receiver answers " + std::to_string(answer.status) + (said.empty() ? "" : ": " + printable(said, 200));
}

}  // namespace

RemoteSender::RemoteSender(RemotePlan plan, Spool& spool, Network& network, RemoteClocks clocks, std::uint64_t seed)
    : plan_(std::move(plan)),
      spool_(spool),
      network_(network),
      clocks_(std::move(clocks)),
      random_(seed),
      most_frames_(frames_at_once) {
  // Those that begin together do not send together.
  std::uniform_real_distribution<double> part(0, 1);
  next_ = clocks_.now() + seconds_of(plan_.every.seconds().value() * part(random_));
}

std::vector<std::string> RemoteSender::notes() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(notes_, {});
}

std::string RemoteSender::trouble() const {
  const std::scoped_lock lock(mutex_);
  return trouble_;
}

RemoteSender::Counts RemoteSender::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

void RemoteSender::note(std::string words) {
  const std::scoped_lock lock(mutex_);
  notes_.push_back(std::move(words));
}

RemoteSender::Outcome RemoteSender::fail_with(const std::string& what, std::optional<double> after_s) {
  double wait_s =
      std::min(longest_wait_s, first_wait_s * static_cast<double>(std::uint64_t{1} << std::min(failures_, 10U)));
  wait_s *= std::uniform_real_distribution<double>(0.5, 1)(random_);
  if (after_s) wait_s = std::max(wait_s, std::min(longest_wait_s, *after_s));
  ++failures_;
  next_ = clocks_.now() + seconds_of(wait_s);
  spool_.give_back();
  const std::scoped_lock lock(mutex_);
  if (what != trouble_) notes_.push_back(what + "; frames wait in " + spool_.folder());
  trouble_ = what;
  return Outcome::failed;
}

void RemoteSender::succeed() {
  failures_ = 0;
  const std::uint64_t lost = spool_.lost_frames();
  const std::scoped_lock lock(mutex_);
  if (!trouble_.empty()) notes_.emplace_back("gets through again");
  trouble_.clear();
  if (lost > told_lost_)
    notes_.push_back(std::to_string(lost) +
                     " frames so far found no room in the buffer, or were refused, and are lost");
  told_lost_ = lost;
}

Result<HttpRequest> RemoteSender::request(const SpoolBatch& batch) const {
  HttpRequest made;
  made.method = "POST";
  made.url = plan_.url + "/v1/frames";
  made.ca_file = plan_.ca_file;
  made.deadline = plan_.deadline;
  made.most_bytes = answer_limit;
  made.headers = {"Content-Type: application/x-ndjson", "Expect:"};
  if (!plan_.token_file.empty()) {
    const auto tokens = read_tokens(plan_.token_file);
    if (!tokens) return Unexpected<Error>(tokens.error());
    made.headers.push_back("Authorization: Bearer " + tokens->front());
  } else if (!plan_.user.empty()) {
    const auto password = read_password(plan_.password_file);
    if (!password) return Unexpected<Error>(password.error());
    made.headers.push_back("Authorization: Basic " + to_base64(plan_.user + ":" + *password));
  }
  // What the spool kept of the stream: {"client":…,"head":{…}}, written by the sink.
  const auto kept = nlohmann::json::parse(batch.head, nullptr, false);
  nlohmann::ordered_json header = {{"prony_remote", 1}};
  if (kept.is_object() && kept.contains("client")) header["client"] = kept["client"];
  header["stream"] = batch.stream;
  header["sent_wall_ns"] = clocks_.wall_ns();
  header["lost_frames"] = batch.lost;
  if (!offsets_.empty()) {
    const Offset& best = *std::ranges::min_element(offsets_, {}, [](const Offset& o) { return o.high_ns - o.low_ns; });
    const std::int64_t half = (best.high_ns - best.low_ns + 1) / 2;
    header["clock"] = {{"offset_ns", best.low_ns + half}, {"doubt_ns", half}};
  }
  if (!described_.contains(batch.stream) && kept.is_object() && kept.contains("head")) header["head"] = kept["head"];
  made.body = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n" + batch.lines;
  return made;
}

// Its clock was between what it said while ours was between leaving and being back: bounds, whatever the line's ways
// there and back took. A step of either clock makes new bounds that contradict the old ones, which go.
void RemoteSender::see_clock(const HttpResponse& answer, std::int64_t left_ns, std::int64_t back_ns) {
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  const auto received = time_of(body, "received_wall_ns"), answered = time_of(body, "answered_wall_ns");
  if (!received || !answered || std::min(left_ns, back_ns) < 0 || std::max(left_ns, back_ns) > latest_time_ns) return;
  const Offset offset{*answered - back_ns, *received - left_ns};
  if (offset.low_ns > offset.high_ns || offset.high_ns - offset.low_ns > 2 * most_doubt_ns) return;
  const bool contradicts = std::ranges::any_of(
      offsets_, [&](const Offset& o) { return o.high_ns < offset.low_ns || o.low_ns > offset.high_ns; });
  if (contradicts) offsets_.clear();
  offsets_.push_back(offset);
  if (offsets_.size() > offsets_kept) offsets_.pop_front();
}

// Never will be taken: narrowed down to the one frame that it is about, which is given up.
RemoteSender::Outcome RemoteSender::refused(const SpoolBatch& batch, const std::string& words) {
  if (batch.frames > 1) {
    most_frames_ = std::max<std::uint64_t>(1, batch.frames / 2);
    spool_.give_back();
    return Outcome::again;
  }
  spool_.refuse(batch);
  note("a frame was refused and is lost: " + words);
  return Outcome::again;
}

RemoteSender::Outcome RemoteSender::set_aside(const SpoolBatch& batch, const std::string& words) {
  const std::uint64_t frames = spool_.set_aside(batch.stream, words);
  note(std::to_string(frames) + " frames of one stream will never be taken and are set aside in " +
       spool_.aside_folder() + "/" + batch.stream + ": " + words);
  return Outcome::again;
}

// It may be this stream that is refused, or everything: the others are tried before the next wait.
RemoteSender::Outcome RemoteSender::pass_over(const SpoolBatch& batch, const HttpResponse& answer) {
  spool_.give_back();
  if (passed_over_.empty()) refusal_ = words_of(answer);
  passed_over_.insert(batch.stream);
  return Outcome::again;
}

RemoteSender::Outcome RemoteSender::judge(const SpoolBatch& batch, const HttpResponse& answer, std::int64_t left_ns,
                                          std::int64_t back_ns) {
  if (answer.status == 409 && described_.erase(batch.stream) > 0) {
    spool_.give_back();
    return Outcome::again;
  }
  if (answer.status == 422 && says(answer, "frame_never_fits")) return refused(batch, words_of(answer));
  if (answer.status == 400 && says(answer, "stream_is_refused")) return set_aside(batch, words_of(answer));
  if (answer.status == 413 && batch.frames > 1) {  // whoever it is takes less at once; one that is too large waits
    most_frames_ = batch.frames / 2;
    spool_.give_back();
    return Outcome::again;
  }
  if (answer.status == 400 || answer.status == 409 || answer.status == 413) return pass_over(batch, answer);
  if (answer.status != 200) return fail_with(words_of(answer), parse_finite(answer.header("retry-after")));
  const auto body = nlohmann::json::parse(answer.body, nullptr, false);
  const auto stored = number(body, "stored"), doubled = number(body, "doubled");
  if (!stored || !doubled || *stored < 0 || *doubled < 0 ||
      static_cast<std::uint64_t>(*stored) + static_cast<std::uint64_t>(*doubled) != batch.frames)
    return fail_with("whoever answers there is no prony collect");
  see_clock(answer, left_ns, back_ns);
  described_.insert(batch.stream);
  spool_.done(batch);
  most_frames_ = std::min(frames_at_once, most_frames_ * 2);
  const std::scoped_lock lock(mutex_);
  counts_.frames += static_cast<std::uint64_t>(*stored);
  counts_.known_already += static_cast<std::uint64_t>(*doubled);
  return Outcome::taken;
}

RemoteSender::Outcome RemoteSender::send(const SpoolBatch& batch) {
  const auto kept = nlohmann::json::parse(batch.head, nullptr, false);
  if (!kept.is_object() || !kept.contains("client") || !kept.contains("head"))
    return set_aside(batch, "what it measured is not known any more: its head is damaged");
  const auto made = request(batch);
  if (!made) return fail_with(made.error().what + ": " + made.error().where);
  {
    const std::scoped_lock lock(mutex_);
    ++counts_.requests;
  }
  const std::int64_t left_ns = clocks_.wall_ns();
  const auto answer = network_.http(*made);
  const std::int64_t back_ns = clocks_.wall_ns();
  if (!answer) return fail_with("nothing gets through: " + answer.error().what);
  return judge(batch, *answer, left_ns, back_ns);
}

Duration RemoteSender::step(bool hurry) {
  const Instant begin = clocks_.now();
  const bool full = failures_ == 0 && spool_.waiting_bytes() >= plan_.batch_bytes;
  if (!hurry && !full && next_ && begin < *next_) return *next_ - begin;
  passed_over_.clear();
  for (int sent = 0; sent < batches_a_step; ++sent) {
    const auto batch = spool_.peek(plan_.batch_bytes, most_frames_, passed_over_);
    if (!batch && !passed_over_.empty()) {
      (void)fail_with(refusal_);
      return std::max(Duration{1'000'000}, *next_ - clocks_.now());
    }
    if (!batch) {
      next_ = clocks_.now() + plan_.every;
      return plan_.every;
    }
    const Outcome outcome = send(*batch);
    if (outcome == Outcome::taken && passed_over_.empty()) succeed();
    if (outcome == Outcome::failed) return std::max(Duration{1'000'000}, *next_ - clocks_.now());
  }
  next_ = clocks_.now();
  return Duration{0};
}

}  // namespace prony
