// A /dev/vcio in the guest: a character device that the kernel's CUSE makes of this program, so that Prony's control
// call goes through a real kernel. It answers the mailbox's property interface as a Raspberry Pi's firmware does, with
// what stands in the file that it is given, read anew for every question: "MILLIDEGREES HERTZ THROTTLED_HEX" in the
// first line, and after it the answer to pmic_read_adc; nothing there: a board that has none, as a Raspberry Pi 4.
// Written from include/uapi/linux/fuse.h and Documentation/filesystems/fuse.rst of the kernel, from
// github.com/raspberrypi/firmware/wiki "Mailbox property interface" and from drivers/char/broadcom/vcio.c of Raspberry
// Pi's kernel; nothing in here is shared with what it is held against.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { most_message_bytes = 16384, request_room = 1 << 17 };
static const uint32_t property = 3U << 30 | sizeof(char*) << 16 | 100U << 8;  // _IOWR(100, 0, char*)
static int cuse;
static const char* state_file;

static void reply(uint64_t unique, int error, const void* head, size_t head_size, const void* rest, size_t rest_size) {
  const struct fuse_out_header out = {(uint32_t)(sizeof out + head_size + rest_size), error, unique};
  const struct iovec parts[] = {
      {(void*)&out, sizeof out}, {(void*)(uintptr_t)head, head_size}, {(void*)(uintptr_t)rest, rest_size}};
  if (writev(cuse, parts, 3) < 0 && errno != ENOENT) perror("vcio: reply");  // ENOENT: who asked is gone
}

static void begin(uint64_t unique) {
  const struct cuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                    .minor = FUSE_KERNEL_MINOR_VERSION,
                                    .flags = CUSE_UNRESTRICTED_IOCTL,
                                    .max_read = most_message_bytes,
                                    .max_write = most_message_bytes};
  static const char name[] = "DEVNAME=vcio";
  reply(unique, 0, &out, sizeof out, name, sizeof name);
}

// One tag's values, in place; 0: the firmware does not know it.
static int answer_tag(uint32_t tag, uint32_t* value, uint32_t bytes) {
  unsigned millidegrees = 0, throttled = 0;
  unsigned long hertz = 0;
  char rails[2048] = "";
  FILE* file = fopen(state_file, "r");
  const int known = file != NULL && fscanf(file, "%u %lu %x%*1[\n]", &millidegrees, &hertz, &throttled) == 3;
  if (known) rails[fread(rails, 1, sizeof rails - 1, file)] = '\0';
  if (file != NULL) fclose(file);
  if (!known) return 0;
  char command[128] = "";
  switch (tag) {
    case 0x00030006: value[1] = millidegrees; return bytes >= 8;
    case 0x00030047: value[1] = value[0] == 3 ? (uint32_t)hertz : value[0] * 100000000; return bytes >= 8;
    case 0x00030046: value[0] = value[0] == 0 ? throttled : 0xbad; return bytes >= 4;  // a mask would clear what was
    case 0x00030080:
      if (bytes < 128) return 0;
      strncat(command, (const char*)(value + 1), sizeof command - 1);
      value[0] = 0;
      memset(value + 1, 0, bytes - 4);
      if (strcmp(command, "measure_temp") == 0)
        snprintf((char*)(value + 1), bytes - 4, "temp=%u.%u'C", millidegrees / 1000, millidegrees / 100 % 10);
      else if (strcmp(command, "measure_volts core") == 0)
        snprintf((char*)(value + 1), bytes - 4, "volt=0.8500V");
      else if (strcmp(command, "get_throttled") == 0)
        snprintf((char*)(value + 1), bytes - 4, "throttled=0x%x", throttled);
      else if (strcmp(command, "pmic_read_adc") == 0 && rails[0] != '\0')
        snprintf((char*)(value + 1), bytes - 4, "%s", rails);
      else
        snprintf((char*)(value + 1), bytes - 4, "error=1 error_msg=\"Command not registered\"");
      return 1;
    default: return 0;
  }
}

// The whole message: size, code, tags (number, room in bytes, code, values), 0. False: none that the driver would send.
static int answer(uint32_t* words, uint32_t bytes) {
  const uint32_t end = bytes / 4;
  if (words[0] != bytes || words[1] != 0) return 0;
  for (uint32_t at = 2; at < end && words[at] != 0;) {
    if (at + 3 > end || words[at + 1] % 4 != 0 || words[at + 1] / 4 > end - at - 3) return 0;
    if (answer_tag(words[at], words + at + 3, words[at + 1])) words[at + 2] = 0x80000000U | words[at + 1];
    at += 3 + words[at + 1] / 4;
  }
  words[1] = 0x80000000U;
  return 1;
}

// The kernel hands over what was asked to be fetched from the caller's memory: nothing at first, then the message's
// size, then all of it.
static void control(uint64_t unique, const struct fuse_ioctl_in* in) {
  static uint32_t words[most_message_bytes / 4];
  struct fuse_ioctl_out out = {0};
  if (in->cmd != property) {
    reply(unique, -ENOTTY, NULL, 0, NULL, 0);
    return;
  }
  uint32_t size = 4;
  if (in->in_size >= 4) memcpy(&size, in + 1, 4);
  if (in->in_size >= 4 && (size < 12 || size % 4 != 0 || size > most_message_bytes)) {
    reply(unique, -EINVAL, NULL, 0, NULL, 0);
    return;
  }
  if (in->in_size < 4 || in->in_size < size) {
    const struct fuse_ioctl_iovec parts[] = {{in->arg, size}, {in->arg, size}};
    out.flags = FUSE_IOCTL_RETRY;
    out.in_iovs = 1;
    out.out_iovs = in->in_size < 4 ? 0 : 1;
    reply(unique, 0, &out, sizeof out, parts, sizeof parts[0] * (1 + out.out_iovs));
    return;
  }
  memcpy(words, in + 1, size);
  if (!answer(words, size)) out.result = -EINVAL;
  reply(unique, 0, &out, sizeof out, words, size);
}

int main(int count, char** arguments) {
  static union {
    struct fuse_in_header header;
    char bytes[request_room];
  } request;
  if (count != 2) return 2;
  state_file = arguments[1];
  cuse = open("/dev/cuse", O_RDWR);
  if (cuse < 0) {
    perror("vcio: /dev/cuse");
    return 1;
  }
  for (;;) {
    const ssize_t got = read(cuse, request.bytes, sizeof request.bytes);
    if (got < 0 && (errno == EINTR || errno == ENOENT)) continue;
    if (got < (ssize_t)sizeof request.header) return got < 0 && errno == ENODEV ? 0 : 1;
    const struct fuse_open_out opened = {0};
    switch (request.header.opcode) {
      case CUSE_INIT: begin(request.header.unique); break;
      case FUSE_OPEN: reply(request.header.unique, 0, &opened, sizeof opened, NULL, 0); break;
      case FUSE_RELEASE: reply(request.header.unique, 0, NULL, 0, NULL, 0); break;
      case FUSE_IOCTL:
        control(request.header.unique, (const struct fuse_ioctl_in*)(request.bytes + sizeof request.header));
        break;
      case FUSE_INTERRUPT: break;
      default: reply(request.header.unique, -ENOSYS, NULL, 0, NULL, 0);
    }
  }
}
