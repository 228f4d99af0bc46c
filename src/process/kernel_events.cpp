#include "process/kernel_events.hpp"

#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

namespace prony {

namespace {

constexpr int receive_buffer_bytes = 8 * 1024 * 1024;  // 200 ends take some 80 KiB; a build system makes thousands
constexpr const char* need = "as root, or with CAP_NET_ADMIN: sudo setcap cap_net_admin+ep prony";

Unexpected<Error> refused_listener(int errno_value, const char* what) {
  auto error = error_from_errno(errno_value, {}, what);
  if (error.code == ErrorCode::denied) error.fix = need;
  return Unexpected<Error>(std::move(error));
}

Result<Fd> open_socket(int protocol, unsigned groups) {
  Fd fd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return refused_listener(errno, "cannot open a netlink socket");
  struct sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0)
    return refused_listener(errno, "cannot listen to process events");
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer_bytes, sizeof receive_buffer_bytes) != 0)
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  return fd;
}

// A request with one attribute; messages are built by hand, as they are three words long.
struct Request {
  alignas(8) char bytes[512] = {};
  std::size_t length = 0;
  void put(const void* data, std::size_t size) {
    std::memcpy(bytes + length, data, size);
    length = (length + size + 3) & ~std::size_t{3};
  }
};

Request generic_request(std::uint16_t family, std::uint8_t command, std::uint16_t attribute, const std::string& value) {
  Request request;
  struct nlmsghdr header{};
  header.nlmsg_type = family;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  const struct genlmsghdr generic{command, 1, 0};
  const struct nlattr head{static_cast<std::uint16_t>(sizeof head + value.size() + 1), attribute};
  request.put(&header, sizeof header);
  request.put(&generic, sizeof generic);
  request.put(&head, sizeof head);
  request.put(value.c_str(), value.size() + 1);
  const auto length = static_cast<std::uint32_t>(request.length);
  std::memcpy(request.bytes, &length, sizeof length);
  return request;
}

// Hands each attribute of a run of them to `each(type, payload, size)`.
template <class Each>
void for_each_attribute(const char* data, std::size_t size, Each each) {
  while (size >= sizeof(struct nlattr)) {
    struct nlattr head{};
    std::memcpy(&head, data, sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > size) return;
    each(head.nla_type & NLA_TYPE_MASK, data + NLA_HDRLEN, static_cast<std::size_t>(head.nla_len) - NLA_HDRLEN);
    const auto step = std::min<std::size_t>(NLA_ALIGN(head.nla_len), size);
    data += step;
    size -= step;
  }
}

// Hands each netlink message in a datagram to `each(header, payload, size)`.
template <class Each>
void for_each_message(const char* data, std::size_t size, Each each) {
  while (size >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header{};
    std::memcpy(&header, data, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > size) return;
    each(header, data + NLMSG_HDRLEN, header.nlmsg_len - static_cast<std::size_t>(NLMSG_HDRLEN));
    const auto step = std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), size);
    data += step;
    size -= step;
  }
}

// Sends and reads until the acknowledgement. Returns its errno value; messages before it go to `each`.
template <class Each>
int ask(const Fd& fd, const Request& request, Each each) {
  if (::send(fd.get(), request.bytes, request.length, 0) < 0) return errno;
  char buffer[8192];
  int answer = -1;
  while (answer < 0) {
    const auto got = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return errno == 0 ? EIO : errno;
    for_each_message(buffer, static_cast<std::size_t>(got),
                     [&](const struct nlmsghdr& header, const char* data, std::size_t size) {
                       if (header.nlmsg_type != NLMSG_ERROR) return each(header, data, size);
                       int error = 0;
                       if (size >= sizeof error) std::memcpy(&error, data, sizeof error);
                       answer = -error;
                     });
  }
  return answer;
}

Result<std::uint16_t> find_taskstats_family(const Fd& fd) {
  std::uint16_t family = 0;
  const auto request = generic_request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);
  const int error = ask(fd, request, [&](const struct nlmsghdr&, const char* data, std::size_t size) {
    if (size < GENL_HDRLEN) return;
    for_each_attribute(data + GENL_HDRLEN, size - GENL_HDRLEN, [&](int type, const char* value, std::size_t length) {
      if (type == CTRL_ATTR_FAMILY_ID && length >= sizeof family) std::memcpy(&family, value, sizeof family);
    });
  });
  if (error != 0 || family == 0)
    return fail(ErrorCode::absent, "this kernel gives no task statistics (CONFIG_TASKSTATS)");
  return family;
}

Result<void> listen_to_connector(const Fd& fd) {
  Request request;
  struct nlmsghdr header{};
  header.nlmsg_type = NLMSG_DONE;
  header.nlmsg_pid = static_cast<std::uint32_t>(::getpid());
  struct cn_msg message{};
  message.id = {CN_IDX_PROC, CN_VAL_PROC};
  message.len = sizeof(enum proc_cn_mcast_op);
  const enum proc_cn_mcast_op operation = PROC_CN_MCAST_LISTEN;
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + sizeof message + sizeof operation);
  request.put(&header, sizeof header);
  request.put(&message, sizeof message);
  request.put(&operation, sizeof operation);
  if (::send(fd.get(), request.bytes, header.nlmsg_len, 0) < 0)
    return refused_listener(errno, "cannot ask for process events");
  return {};
}

std::string possible_cpu_list() {
  const Fd file(::open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC));
  char buffer[256] = {};
  const auto got = file.valid() ? ::read(file.get(), buffer, sizeof buffer - 1) : 0;
  std::string text(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "0" : text;
}

ThreadEnd thread_end_from(const struct taskstats& stats) {
  ThreadEnd end;
  end.thread = static_cast<pid_t>(stats.ac_pid);
  std::memcpy(end.name.data(), stats.ac_comm, end.name.size() - 1);
  end.user_ns = static_cast<std::int64_t>(stats.ac_utime) * 1000;
  end.system_ns = static_cast<std::int64_t>(stats.ac_stime) * 1000;
  end.cpu_ns = static_cast<std::int64_t>(stats.cpu_run_virtual_total);
  if (end.cpu_ns == 0) end.cpu_ns = end.user_ns + end.system_ns;  // kernels that fill it only with delay accounting
  end.minor_faults = stats.ac_minflt;
  end.major_faults = stats.ac_majflt;
  end.voluntary = stats.nvcsw;
  end.involuntary = stats.nivcsw;
  end.io = {stats.read_bytes, stats.write_bytes, stats.read_char, stats.write_char};
  return end;
}

// Hands all datagrams that wait to `each`. True: some were dropped.
template <class Each>
bool drain(const Fd& fd, std::vector<char>& buffer, Each each) {
  bool dropped = false;
  while (true) {
    const auto got = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) {
      dropped = true;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return dropped;
    each(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

}  // namespace

Result<KernelEvents> KernelEvents::open() {
  auto taskstats = open_socket(NETLINK_GENERIC, 0);
  if (!taskstats) return Unexpected<Error>(taskstats.error());
  const auto family = find_taskstats_family(*taskstats);
  if (!family) return Unexpected<Error>(family.error());
  const auto request =
      generic_request(*family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, possible_cpu_list());
  const int error = ask(*taskstats, request, [](const struct nlmsghdr&, const char*, std::size_t) {});
  if (error != 0) return refused_listener(error, "cannot ask for the statistics of ended tasks");
  auto connector = open_socket(NETLINK_CONNECTOR, CN_IDX_PROC);
  if (!connector) return Unexpected<Error>(connector.error());
  const auto listening = listen_to_connector(*connector);
  if (!listening) return Unexpected<Error>(listening.error());
  return KernelEvents(std::move(*connector), std::move(*taskstats));
}

bool KernelEvents::wait(const Fd& stop) const noexcept {
  struct pollfd entries[3] = {{stop.get(), POLLIN, 0}, {connector_.get(), POLLIN, 0}, {taskstats_.get(), POLLIN, 0}};
  while (::poll(entries, 3, -1) < 0 && errno == EINTR) {
  }
  return (entries[0].revents & POLLIN) == 0;
}

void add_forks(std::string_view datagram, std::vector<ForkEvent>& out) {
  for_each_message(
      datagram.data(), datagram.size(), [&out](const struct nlmsghdr&, const char* data, std::size_t size) {
        struct proc_event event{};
        constexpr auto head = sizeof(struct cn_msg);
        if (size < head + offsetof(struct proc_event, event_data)) return;
        std::memcpy(&event, data + head, std::min(size - head, sizeof event));
        if (event.what != proc_event::PROC_EVENT_FORK) return;
        const auto& fork = event.event_data.fork;
        out.push_back(
            {fork.parent_tgid, fork.child_pid, fork.child_tgid, {static_cast<std::int64_t>(event.timestamp_ns)}});
      });
}

void add_thread_ends(std::string_view datagram, std::vector<ThreadEnd>& out) {
  for_each_message(
      datagram.data(), datagram.size(), [&out](const struct nlmsghdr&, const char* data, std::size_t size) {
        if (size < GENL_HDRLEN) return;
        for_each_attribute(
            data + GENL_HDRLEN, size - GENL_HDRLEN, [&](int type, const char* nested, std::size_t length) {
              if (type != TASKSTATS_TYPE_AGGR_PID) return;  // AGGR_TGID repeats the sum of what its threads have told
              for_each_attribute(nested, length, [&](int inner, const char* value, std::size_t bytes) {
                if (inner != TASKSTATS_TYPE_STATS) return;
                struct taskstats stats{};
                std::memcpy(&stats, value, std::min(bytes, sizeof stats));  // later kernels have more fields at its end
                out.push_back(thread_end_from(stats));
              });
            });
      });
}

bool KernelEvents::read_forks(std::vector<ForkEvent>& out) {
  return drain(connector_, buffer_, [&out](std::string_view datagram) { add_forks(datagram, out); });
}

bool KernelEvents::read_ends(std::vector<ThreadEnd>& out) {
  return drain(taskstats_, buffer_, [&out](std::string_view datagram) { add_thread_ends(datagram, out); });
}

}  // namespace prony
