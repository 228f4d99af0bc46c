// i2cw BUS CHIP REGISTER VALUE: writes one word into a chip's register over SMBus, and prints the monotonic clock
// before and after it, in ns. The chips that the rig plays are big-endian while SMBus words are little-endian: bytes
// are swapped.
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: i2cw BUS CHIP REGISTER VALUE\n");
    return 2;
  }
  char path[64];
  snprintf(path, sizeof path, "/dev/i2c-%d", atoi(argv[1]));
  const int fd = open(path, O_RDWR);
  // Forced: the chip's driver has it already.
  if (fd < 0 || ioctl(fd, I2C_SLAVE_FORCE, strtoul(argv[2], NULL, 0)) < 0) {
    perror(path);
    return 1;
  }
  const unsigned value = (unsigned)strtoul(argv[4], NULL, 0);
  union i2c_smbus_data data;
  data.word = (__u16)((value << 8 & 0xff00u) | (value >> 8 & 0xffu));
  struct i2c_smbus_ioctl_data call = {I2C_SMBUS_WRITE, (__u8)strtoul(argv[3], NULL, 0), I2C_SMBUS_WORD_DATA, &data};
  const long long before = now_ns();
  if (ioctl(fd, I2C_SMBUS, &call) < 0) {
    perror("I2C_SMBUS");
    return 1;
  }
  printf("%lld %lld\n", before, now_ns());
  return 0;
}
