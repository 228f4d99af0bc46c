#include "workloads/load_driver.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/request_names.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::int64_t second_ns = 1'000'000'000;
// A prompt goes to the worker so long before it is due, and no more of them than `ahead` beyond what may be under way.
constexpr std::int64_t horizon_ns = second_ns;
constexpr std::size_t ahead = 256;
constexpr std::size_t most_queued_bytes = std::size_t{1} << 20;
constexpr std::int64_t lead_ns = 20'000'000;  // between the decision to begin an open level and its first instant
// Words for people end somewhere, and the Run has each request's own end; but of those that were lost with the worker,
// who may have written another: they are all named.
constexpr std::size_t most_failure_lines = 20, most_failed_ids = 1000;

std::optional<std::int64_t> whole(const json& message, const char* key) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

}  // namespace

LoadDriver::LoadDriver(WorkerLink& link, Settings settings, Flags flags)
    : link_(link), settings_(std::move(settings)), flags_(flags), conversations_(settings_.prompts) {}

bool LoadDriver::run(WorkloadOutcome& outcome, const std::function<void(const Progress&)>& progress,
                     std::function<std::string(const Reply&)> describe) {
  outcome_ = &outcome;
  cancelled_before_ = outcome.requests_cancelled;
  answers_before_ = outcome.answers.size();
  progress_ = progress;
  describe_ = std::move(describe);
  for (auto level = settings_.plan.next_level(nullptr); level && !over() && !broken_;
       level = settings_.plan.next_level(&seen_)) {
    begin_level(std::move(*level));
    drive_level();
    if (broken_ || over()) break;
  }
  conclude();
  return !broken_;
}

void LoadDriver::begin_level(LoadLevel level) {
  level_ = std::move(level);
  seen_ = LevelSeen{seen_.number + 1, {}, 0, false, 0};
  saturation_ = {};
  overloads_ = 0;
  sent_here_ = answered_here_ = begun_here_ = promised_here_ = lost_here_ = 0;
  following_.clear();
  output_tokens_ = 0;
  withdrawn_ = false;
  const std::int64_t now = WorkerLink::now_ns();
  begin_ns_ = level_.open() ? now + lead_ns : now;
  last_reply_ns_ = begin_ns_;
  ready_ns_.assign(level_.open() ? 0 : level_.streams, begin_ns_);
}

void LoadDriver::drive_level() {
  for (;;) {
    heed_flags();
    send_what_may_be();
    if (broken_ || (level_is_sent() && under_way_.empty())) break;
    take(link_.receive(deadline_ns(), true));
    tell(false);
  }
  seen_.length_ns = last_reply_ns_ - begin_ns_;
  // What was never begun has its end too, and no span.
  if (level_.open()) seen_.withdrawn += level_.times_ns.size() - begun_here_;
  std::size_t unasked = lost_here_;
  for (const auto& [due_ns, turn] : following_) unasked += turns_of(turn) - turn.number;
  seen_.withdrawn += unasked;
  // A closed load that was broken off had so many more to send.
  const bool broken_off = broken_ || flags_.cancelled || flags_.finishing;
  if (!level_.open() && broken_off && level_.requests && !level_.until_both)
    seen_.withdrawn += *level_.requests - std::min(*level_.requests, sent_here_ + unasked);
  not_begun_ += seen_.withdrawn;
  if (!settings_.plan.several_levels) return;
  const std::string key = "load.level." + std::to_string(settings_.levels_before + seen_.number);
  outcome_->facts.emplace_back(key, settings_.level_prefix + level_.name);
  if (seen_.oversaturated) outcome_->facts.emplace_back(key + ".oversaturated", "true");
}

bool LoadDriver::level_is_sent() const {
  if (withdrawn_ || broken_) return true;
  if (level_.open()) return begun_here_ == level_.times_ns.size() && following_.empty();
  const bool by_count = level_.requests && sent_here_ + lost_here_ >= *level_.requests;
  const bool by_time = level_.for_ns && WorkerLink::now_ns() >= begin_ns_ + *level_.for_ns;
  return level_.until_both ? by_count && by_time : by_count || by_time;
}

std::size_t LoadDriver::most_under_way() const {
  // The worker knows the bound of the whole load alone: under a lower one nothing may wait with it, for it would begin.
  if (!settings_.worker_keeps_time || level_.streams < settings_.plan.most_streams) return level_.streams;
  if (level_.open()) return level_.streams + ahead;
  // Without a rest between them, the next prompt lies with the worker when the one before ends: no turn-round is lost.
  const bool at_once = level_.think_ns == 0 && !level_.in_step && !conversations_.any();
  return level_.streams + (at_once ? std::min<std::size_t>(level_.streams, 32) : 0);
}

// A closed load of so many requests begins no conversation whose turns those that run will be.
bool LoadDriver::may_begin() const {
  return !conversations_.any() || !level_.requests || promised_here_ < *level_.requests;
}

void LoadDriver::send_what_may_be() {
  const std::int64_t now = WorkerLink::now_ns();
  while (!level_is_sent() && under_way_.size() < most_under_way() && link_.queued_bytes() < most_queued_bytes) {
    if (!following_.empty() && following_.front().first <= now) {
      send_next_turn();
    } else if (level_.open()) {
      if (begun_here_ == level_.times_ns.size()) return;
      const std::int64_t due = begin_ns_ + level_.times_ns[begun_here_];
      if (due > now + (settings_.worker_keeps_time ? horizon_ns : 0)) return;
      begin_conversation(due, due);
    } else if (under_way_.size() >= level_.streams) {
      if (!ready_ns_.empty()) ready_ns_.pop_front();
      begin_conversation(std::nullopt, now);  // ahead of a stream that is busy
    } else {
      if (ready_ns_.empty() || ready_ns_.front() > now || !may_begin()) return;
      ready_ns_.pop_front();
      begin_conversation(std::nullopt, now);
    }
  }
}

const Prompt& LoadDriver::prompt_of(Turn turn) const {
  return settings_.prompts[conversations_.turns(turn.conversation % conversations_.size())[turn.number]];
}

void LoadDriver::begin_conversation(std::optional<std::int64_t> at_ns, std::int64_t due_ns) {
  send_one({begun_, 0}, at_ns, due_ns);
  promised_here_ += turns_of({begun_, 0});
  ++begun_;
  ++begun_here_;
}

// It was due when the answer before it had come and its user had thought: an open load's times count from there.
void LoadDriver::send_next_turn() {
  const auto [due_ns, turn] = following_.front();
  following_.pop_front();
  send_one(turn, level_.open() ? std::optional(due_ns) : std::nullopt, due_ns);
}

void LoadDriver::send_one(Turn turn, std::optional<std::int64_t> at_ns, std::int64_t due_ns) {
  const std::size_t all = settings_.prompts.size();
  const Prompt& prompt = prompt_of(turn);
  const std::int32_t round = round_of(turn);
  const bool rounds = !settings_.plan.requests || *settings_.plan.requests > all;
  const std::string id = settings_.id_prefix + (rounds ? prompt.id + "#" + std::to_string(round) : prompt.id);
  json request = settings_.request_of(prompt, id, round);
  if (prompt.text.empty() && settings_.plan.text_of)
    request["text"] = settings_.plan.text_of(static_cast<std::size_t>(&prompt - settings_.prompts.data()));
  if (round > 1) request["repeat"] = round;
  if (at_ns) request["at_ns"] = *at_ns;
  if (settings_.plan.several_levels) request["level"] = settings_.levels_before + seen_.number;
  link_.queue(request);
  under_way_.insert_or_assign(id, Under{place_, due_ns, turn});
  order_.emplace_back(id, due_ns);
  ++place_;
  ++sent_here_;
}

// The worker is given up at this time: when nothing was answered for as long as one request may take.
std::int64_t LoadDriver::hang_ns() {
  while (!order_.empty() && !under_way_.contains(order_.front().first)) order_.pop_front();
  const std::int64_t due = order_.empty() ? last_reply_ns_ : order_.front().second;
  const std::int64_t hang = std::max(last_reply_ns_, due) + settings_.request_timeout_ns;
  return cancelled_at_ns_ > 0 ? std::min(hang, cancelled_at_ns_ + wind_up_ns) : hang;
}

std::int64_t LoadDriver::deadline_ns() {
  const std::int64_t now = WorkerLink::now_ns();
  std::int64_t deadline = under_way_.empty() ? now + 60 * second_ns : hang_ns();
  if (level_is_sent()) return deadline;
  const auto wake_at = [&](std::int64_t at_ns) {
    if (at_ns > now) deadline = std::min(deadline, at_ns);
  };
  if (level_.for_ns) wake_at(begin_ns_ + *level_.for_ns);
  if (link_.queued_bytes() >= most_queued_bytes) wake_at(now + 10'000'000);
  if (under_way_.size() >= most_under_way()) return deadline;
  if (!following_.empty()) wake_at(following_.front().first);
  if (level_.open() && begun_here_ < level_.times_ns.size())
    wake_at(begin_ns_ + level_.times_ns[begun_here_] - (settings_.worker_keeps_time ? horizon_ns : 0));
  else if (!ready_ns_.empty())
    wake_at(ready_ns_.front());
  return deadline;
}

void LoadDriver::heed_flags() {
  if (flags_.cancelled && cancelled_at_ns_ == 0) {
    cancelled_at_ns_ = WorkerLink::now_ns();
    link_.queue({{"type", "cancel"}});
    withdrawn_ = true;
  }
  const bool time_is_up =
      !level_.open() && level_.for_ns && !level_.until_both && WorkerLink::now_ns() >= begin_ns_ + *level_.for_ns;
  if (!withdrawn_ && (flags_.finishing || time_is_up)) withdraw();
}

// What waits with the worker is given back; what runs goes on to its end.
void LoadDriver::withdraw() {
  withdrawn_ = true;
  if (settings_.worker_keeps_time && !under_way_.empty()) link_.queue({{"type", "cancel"}, {"only", "waiting"}});
}

void LoadDriver::take(const Reply& reply) {
  if (reply.trouble == Trouble::woken) return link_.forget_wake();
  if (reply.trouble == Trouble::timeout) {
    if (!under_way_.empty() && WorkerLink::now_ns() >= hang_ns()) lose_all(reply);
    return;
  }
  if (reply.trouble) return lose_all(reply);
  const auto found = asked_for(reply.message);
  if (found == under_way_.end()) return lose_all(reply);
  last_reply_ns_ = WorkerLink::now_ns();
  take_end(reply.message, found);
}

LoadDriver::UnderWay::iterator LoadDriver::asked_for(const json& message) {
  const json* holder = &message;
  if (message["type"] == "error") {
    const auto error = message.find("error");
    if (error == message.end() || !error->is_object()) return under_way_.end();
    holder = &*error;
  } else if (message["type"] != "result") {
    return under_way_.end();
  }
  const auto id = holder->find("id");
  if (id != holder->end() && id->is_string()) return under_way_.find(id->get<std::string>());
  // An error that names none can only be of the one that there is.
  return message["type"] == "error" && under_way_.size() == 1 ? under_way_.begin() : under_way_.end();
}

void LoadDriver::take_end(const json& message, UnderWay::iterator found) {
  const std::string id = found->first;
  const Under under = found->second;
  under_way_.erase(found);
  RequestSeen seen;
  seen.due_ns = under.due_ns - begin_ns_;
  if (settings_.keep_output) {
    const std::size_t place = answers_before_ + under.place;
    if (outcome_->answers.size() <= place) outcome_->answers.resize(place + 1);
    outcome_->answers[place] = message.value("text", json("")).is_string() ? message.value("text", "") : "";
  }
  const bool answered = message["type"] == "result" && message.value("finish", json()) != "stop" &&
                        message.value("finish", json()) != "cancelled";
  if (!go_on(under.turn, answered ? &message : nullptr)) stream_is_free(last_reply_ns_);
  if (message["type"] == "error") {
    seen.end = RequestSeen::End::failed;
    fail(id, describe_({message, {}, {}}));
  } else if (const json finish = message.value("finish", json()); finish == "stop" || finish == "cancelled") {
    if (message.value("begun", json(true)) == false) {
      ++seen_.withdrawn;
      return;
    }
    seen.end = RequestSeen::End::cancelled;
    if (finish == "cancelled")
      ++outcome_->requests_cancelled;  // its client went, as was asked
    else
      ++cancelled_;
  } else {
    take_result(message, id, seen);
  }
  ++answered_here_;
  ++done_;
  watch_saturation(seen);
  seen_.requests.push_back(seen);
}

// A turn whose conversation broke off before it cannot be asked.
bool LoadDriver::go_on(Turn turn, const json* result) {
  const std::size_t turns = turns_of(turn);
  if (turns == 1 && prompt_of(turn).session.empty()) return false;
  const std::size_t left = turns - turn.number - 1;
  const bool going = left > 0 && result != nullptr;
  if (settings_.ended) settings_.ended(prompt_of(turn), round_of(turn), result, !going);
  if (!going) {
    lost_here_ += left;
    return false;
  }
  const std::int64_t think_ns = settings_.turn_think_ns > 0 ? settings_.turn_think_ns : level_.think_ns;
  following_.emplace_back(last_reply_ns_ + think_ns, Turn{turn.conversation, turn.number + 1});
  return true;
}

void LoadDriver::take_result(const json& message, const std::string&, RequestSeen& seen) {
  ++outcome_->requests_ok;
  seen.late_ns = whole(message, "late_ns");
  seen.ttft_ns = whole(message, "ttft_ns");
  seen.decode_ns = whole(message, "decode_ns");
  seen.output_tokens = whole(message, "output_tokens");
  output_tokens_ += seen.output_tokens.value_or(0);
}

void LoadDriver::stream_is_free(std::int64_t now_ns) {
  if (level_.open()) return;
  if (!level_.in_step)
    ready_ns_.push_back(now_ns + level_.think_ns);
  else if (under_way_.empty())
    ready_ns_.assign(level_.streams, now_ns + level_.think_ns);
}

void LoadDriver::watch_saturation(const RequestSeen& seen) {
  if (!settings_.plan.stop_oversaturated || !level_.open() || withdrawn_ || !seen.ttft_ns) return;
  const auto& times = level_.times_ns;
  const auto due = std::upper_bound(times.begin(), times.end(), last_reply_ns_ - begin_ns_) - times.begin();
  saturation_.add(static_cast<double>(seen.due_ns) * 1e-9,
                  static_cast<double>(due) - static_cast<double>(answered_here_),
                  static_cast<double>(*seen.ttft_ns + seen.late_ns.value_or(0)) * 1e-9);
  // Twice in a row: a burst looks like the begin of an overload.
  if (saturation_.count() % 16 != 0) return;
  overloads_ = saturation_.over() ? overloads_ + 1 : 0;
  if (overloads_ < 2) return;
  seen_.oversaturated = true;
  withdraw();
}

void LoadDriver::fail(const std::string& id, const std::string& why, bool lost) {
  ++outcome_->requests_failed;
  ++failed_here_;
  if (lost || failed_.size() < most_failed_ids) failed_.push_back(id);
  if (failed_here_ <= most_failure_lines) outcome_->failures.push_back("request " + id + ": " + why);
}

// The worker cannot be talked to any more: whatever was sent and not answered failed.
void LoadDriver::lose_all(const Reply& reply) {
  const std::string why = describe_(reply);
  broken_ = true;
  if (under_way_.empty()) outcome_->failures.push_back(why);
  for (const auto& [id, due] : order_)
    if (under_way_.contains(id)) {
      fail(id, why, true);
      ++done_;
      seen_.requests.push_back({RequestSeen::End::failed, due - begin_ns_, {}, {}, {}, {}});
      under_way_.erase(id);
    }
  order_.clear();
}

void LoadDriver::tell(bool now) {
  const std::int64_t at = WorkerLink::now_ns();
  if (!progress_ || (!now && at - last_told_ns_ < 100'000'000)) return;
  last_told_ns_ = at;
  Progress state;
  state.done = done_;
  state.total = settings_.plan.requests.value_or(0);
  state.in_request = !under_way_.empty();
  state.tokens_per_s =
      at > begin_ns_ ? static_cast<double>(output_tokens_) * 1e9 / static_cast<double>(at - begin_ns_) : 0;
  if (!now) state.note = level_.name;
  progress_(state);
}

void LoadDriver::conclude() {
  tell(true);
  auto& facts = outcome_->facts;
  auto& failures = outcome_->failures;
  // Of several models, one load each: the facts are of all of them.
  const auto fact = [&](const std::string& key) -> std::string& {
    const auto found = std::ranges::find(facts, key, [](const auto& one) { return one.first; });
    return found == facts.end() ? facts.emplace_back(key, "").second : found->second;
  };
  const auto told = [&](const char* key, std::size_t count) {
    std::string& text = fact(key);
    text = std::to_string(parse_u64(text).value_or(0) + count);
  };
  told("load.sent", place_);
  // The outcome's own numbers are of all models already.
  fact("load.ok") = std::to_string(outcome_->requests_ok);
  fact("load.failed") = std::to_string(outcome_->requests_failed);
  told("load.cancelled", cancelled_ + outcome_->requests_cancelled - cancelled_before_);
  told("load.not_begun", not_begun_);
  if (settings_.plan.conclusion) {
    std::string& knee = fact("load.knee");
    knee += (knee.empty() ? "" : "; ") + settings_.level_prefix + settings_.plan.conclusion();
  }
  if (failed_here_ > most_failure_lines)
    failures.push_back(std::to_string(failed_here_ - most_failure_lines) + " more request(s) failed");
  if (!failed_.empty()) {
    std::string& ids = fact("requests.failed");
    for (const std::string& id : failed_) ids += (ids.empty() ? "" : ",") + as_listed(id);
  }
  if (!over() && !broken_) return;
  if (cancelled_ > 0) failures.push_back(std::to_string(cancelled_) + " request(s) cancelled");
  if (not_begun_ > 0) failures.push_back(std::to_string(not_begun_) + " request(s) not run");
}

}  // namespace prony
