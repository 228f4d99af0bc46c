#include "proxy.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>

#include "tags.hpp"

namespace prony_proxy {

using prony_http::json;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000, soon_ns = 20'000'000;
constexpr std::int64_t cloud_patience_ns = 3 * second_ns, stop_patience_ns = 5 * second_ns;

constexpr std::uint64_t client_tag(std::uint64_t link) { return link * 2; }
constexpr std::uint64_t server_tag(std::uint64_t link) { return link * 2 + 1; }

}  // namespace

Proxy::Proxy(ProxySettings settings, int input, int output)
    : settings_(std::move(settings)), reports_(output), input_(input), output_(output) {}

Proxy::~Proxy() {
  for (const int fd : {listener_, epoll_, signals_})
    if (fd >= 0) ::close(fd);
}

void Proxy::add(int fd, std::uint64_t tag, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

// The kernel is told what a side waits for. One that waits for nothing is not listened to at all: the end of its peer
// would be told over and over.
void Proxy::take_up(Slot& slot, int fd, Interest wanted, Interest& known, int& known_fd, std::uint64_t tag) const {
  (void)slot;
  const auto any = [](const Interest& interest) { return interest.read || interest.write; };
  epoll_event event{};
  event.events = (wanted.read ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                 (wanted.write ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = tag;
  if (fd != known_fd) {  // another socket than before; the one before left the set when it was closed
    known_fd = fd;
    known = {};
  }
  if (fd < 0 || wanted == known) return;
  const int what = !any(wanted) ? EPOLL_CTL_DEL : any(known) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  (void)::epoll_ctl(epoll_, what, fd, &event);
  known = wanted;
}

void Proxy::accept_some() {
  for (int i = 0; i < 64; ++i) {
    if (links_.size() >= settings_.most_links) make_place();
    if (links_.size() >= settings_.most_links) {
      (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);  // those that come wait in the kernel's queue
      accepting_ = false;
      return;
    }
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
        accepting_ = false;  // until the next tick
      }
      return;
    }
    const std::uint64_t number = next_link_++;
    Slot& slot = links_[number];
    Link::AskHeader ask;
    if (settings_.response_header && !reports_.gone())
      ask = [this](std::uint64_t link, std::int64_t begin_ns, std::int64_t now_ns) {
        headers_due_ = true;
        reports_.say({{"type", "ask"}, {"link", link}, {"begin_ns", begin_ns}, {"now_ns", now_ns}});
      };
    slot.link = std::make_unique<Link>(number, make_socket(fd), static_cast<Audience&>(*this), std::move(ask));
    if (settings_.to.tls)
      opener_->open(number);
    else
      connect_next(slot);
    carry_on(slot);
  }
}

// The next of the server's addresses; after the last its name is looked up once more, by the opener.
void Proxy::connect_next(Slot& slot) {
  while (slot.next_address < server_.size()) {
    const Address& address = server_[slot.next_address++];
    const int fd = ::socket(address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) break;
    const int got = ::connect(fd, reinterpret_cast<const sockaddr*>(&address.place), address.length);
    if (got != 0 && errno != EINPROGRESS) {
      ::close(fd);
      continue;
    }
    slot.link->connecting(make_socket(fd), false);
    slot.server_fd = -1;
    if (got == 0) slot.link->connected();
    return;
  }
  slot.link->connecting(nullptr, false);
  slot.server_fd = -1;
  opener_->open(slot.link->number());
}

void Proxy::take_opened() {
  opener_->forget_told();
  while (auto opened = opener_->take()) {
    const auto found = links_.find(opened->link);
    if (found == links_.end()) continue;  // the client did not wait
    Slot& slot = found->second;
    if (opened->connection) {
      slot.link->connecting(std::move(*opened->connection), settings_.to.tls);
      slot.link->connected();
    } else {
      slot.link->refused(opened->connection.error().message, now_ns_);
    }
    carry_on(slot);
  }
}

void Proxy::carry_on(Slot& slot) {
  Link& link = *slot.link;
  if (link.pump(now_ns_)) again_.push_back(link.number());
  if (link.over()) return forget(link.number());
  take_up(slot, link.client_fd(), link.client_interest(), slot.client, slot.client_fd, client_tag(link.number()));
  take_up(slot, link.server_fd(), link.server_interest(), slot.server, slot.server_fd, server_tag(link.number()));
}

void Proxy::forget(std::uint64_t number) {
  const auto found = links_.find(number);
  if (found == links_.end()) return;
  found->second.link->end(now_ns_);
  passed_ += found->second.link->watch().passed();
  links_.erase(found);
}

// The table is full: whoever has asked nothing for longest goes, if for five seconds at least.
void Proxy::make_place() {
  std::uint64_t oldest = 0;
  std::int64_t since_ns = now_ns_ - 5 * second_ns;
  for (const auto& [number, slot] : links_)
    if (!slot.link->busy() && slot.link->quiet_since_ns() < since_ns)
      oldest = number, since_ns = slot.link->quiet_since_ns();
  if (oldest != 0) forget(oldest);
}

// Told at once, so that those that share the machine's joules meanwhile are known.
std::uint64_t Proxy::began(const Seen& seen) {
  const std::uint64_t number = ++requests_;
  if (reports_.gone()) return number;
  json line = {{"type", "begin"}, {"n", number}, {"begin_ns", seen.begin_ns}, {"model", seen.model}};
  const auto where = clouds_ && !seen.model.empty() ? clouds_->of(seen.model) : std::nullopt;
  if (where && !where->empty()) line["elsewhere"] = *where;
  reports_.say(line);
  return number;
}

void Proxy::ended(Seen&& seen) {
  if (reports_.gone()) return;
  if (clouds_ && seen.elsewhere.empty() && !seen.model.empty()) {
    const auto where = clouds_->of(seen.model);
    if (!where) {
      held_.push_back({std::move(seen), now_ns_ + cloud_patience_ns});
      return;
    }
    seen.elsewhere = *where;
  }
  reports_.say(to_json(seen));
}

void Proxy::settle_held(bool last) {
  for (std::size_t i = held_.size(); i-- > 0;) {
    Held one = std::move(held_.front());
    held_.pop_front();
    const auto where = clouds_->of(one.seen.model);
    if (!where && now_ns_ < one.until_ns && !last) {
      held_.push_back(std::move(one));
      continue;
    }
    one.seen.elsewhere = where ? *where : Clouds::by_name(one.seen.model);
    reports_.say(to_json(one.seen));
  }
}

void Proxy::meter_gone() {
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, input_.fd(), nullptr);
  if (reports_watched_) (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, output_, nullptr);
  reports_watched_ = false;
  if (stopping_) return;
  reports_.meter_is_gone();
  std::fputs("prony-proxy: the meter has gone; requests go on unmeasured until `prony proxy` is started again\n",
             stderr);
  if (listener_ >= 0) {
    handover_.offer(address_);
    if (handover_.fd() >= 0) add(handover_.fd(), handover_tag, EPOLLIN);
  }
}

void Proxy::take_input() {
  input_.read_some();
  while (input_.has_line()) {
    const json line = json::parse(input_.next().text, nullptr, false);
    const std::string type = prony_http::text_of(line, "type");
    if (type == "stop") stop();
    if (type != "header") continue;
    const auto link = prony_http::whole(line, "link");
    const auto found = link ? links_.find(static_cast<std::uint64_t>(*link)) : links_.end();
    if (found == links_.end()) continue;
    found->second.link->header(prony_http::one_line(prony_http::text_of(line, "line"), 400), now_ns_);
    carry_on(found->second);
  }
  if (input_.ended()) meter_gone();
}

void Proxy::stop() {
  if (stopping_) return;
  stopping_ = true;
  stop_by_ns_ = now_ns_ + stop_patience_ns;
  if (accepting_) (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
  if (listener_ >= 0) ::close(listener_);
  listener_ = -1;
  accepting_ = false;
  tick();
}

void Proxy::tick() {
  next_tick_ns_ = now_ns_ + second_ns;
  headers_due_ = false;
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, slot] : links_) numbers.push_back(number);
  for (const std::uint64_t number : numbers) {
    const auto found = links_.find(number);
    if (found == links_.end()) continue;
    Link& link = *found->second.link;
    link.tick(now_ns_);
    headers_due_ = headers_due_ || link.header_due_ns().has_value();
    if (stopping_ && !link.busy()) link.end(now_ns_);
    carry_on(found->second);
  }
  settle_held(false);
  if (!accepting_ && listener_ >= 0) {
    add(listener_, listener_tag, EPOLLIN);
    accepting_ = true;
  }
}

void Proxy::dispatch(std::uint64_t tag, std::uint32_t events) {
  switch (tag) {
    case listener_tag: return accept_some();
    case input_tag: return take_input();
    case output_tag: return reports_.flush();
    case opener_tag: return take_opened();
    case clouds_tag: return clouds_->forget_told(), settle_held(false);
    case handover_tag:
      if (!handover_.give(listener_)) return;
      stop();
      stop_by_ns_ = std::numeric_limits<std::int64_t>::max();  // what is on its way here goes on to its end
      return;
    case signals_tag: {
      signalfd_siginfo told{};
      if (::read(signals_, &told, sizeof told) == sizeof told && (told.ssi_signo == SIGTERM || reports_.gone())) stop();
      return;
    }
    default: break;
  }
  const auto found = links_.find(tag / 2);
  if (found == links_.end()) return;
  Slot& slot = found->second;
  if (tag % 2 == 1 && !slot.link->is_connected() && slot.link->server_fd() >= 0) {
    int trouble = 0;
    socklen_t size = sizeof trouble;
    (void)::getsockopt(slot.link->server_fd(), SOL_SOCKET, SO_ERROR, &trouble, &size);
    if (trouble != 0)
      connect_next(slot);
    else if ((events & EPOLLOUT) != 0)
      slot.link->connected();
  }
  carry_on(slot);
}

int Proxy::patience_ms() const {
  if (!again_.empty()) return 0;
  if (headers_due_ || stopping_) return 20;
  return static_cast<int>(std::clamp<std::int64_t>((next_tick_ns_ - now_ns_) / 1'000'000 + 1, 1, 1000));
}

void Proxy::run() {
  std::array<epoll_event, 256> events{};
  now_ns_ = prony_http::monotonic_ns();
  next_tick_ns_ = now_ns_ + second_ns;
  while (!stopping_ || ((!links_.empty() || !held_.empty()) && now_ns_ < stop_by_ns_)) {
    const int got = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience_ms());
    now_ns_ = prony_http::monotonic_ns();
    for (int i = 0; i < got; ++i)
      dispatch(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
    for (std::size_t i = again_.size(); i-- > 0;) {
      const auto found = links_.find(again_.front());
      again_.pop_front();
      if (found != links_.end()) carry_on(found->second);
    }
    const bool early = (headers_due_ || stopping_) && now_ns_ >= next_tick_ns_ - second_ns + soon_ns;
    if (now_ns_ >= next_tick_ns_ || early) tick();
    const bool wants = reports_.wants_to_write();
    if (wants != reports_watched_) {
      if (wants)
        add(output_, output_tag, EPOLLOUT);
      else
        (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, output_, nullptr);
      reports_watched_ = wants;
    }
  }
  while (!links_.empty()) forget(links_.begin()->first);
  settle_held(true);
  reports_.say({{"type", "end"}, {"requests", requests_}, {"passed", passed_}, {"lost", reports_.lost()}});
  for (int i = 0; i < 100 && reports_.wants_to_write(); ++i) {
    (void)::poll(nullptr, 0, 10);
    reports_.flush();
  }
}

}  // namespace prony_proxy
