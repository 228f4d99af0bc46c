// Loaded before the C library (LD_PRELOAD): every change of files below PRONY_TEST_ROOT is written down, in order, in
// the file PRONY_TEST_JOURNAL, so that a test can tell what a disk holds at any moment if power is cut: what was synced
// by then, and no more than that for sure. A record is a line "op TAB inode TAB path TAB second path TAB offset TAB
// length" and so many bytes. Ops: creat mkdir write trunc sync syncdir rename link unlink. What the C library writes by
// itself (stdio) is not seen: it is never synced here either.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;
static int journal_fd = -1;

static int below_root(const char* path) {
  const char* root = getenv("PRONY_TEST_ROOT");
  return root != NULL && strncmp(path, root, strlen(root)) == 0;
}

// The absolute path, not normalised; 0 where it cannot be told or is not watched.
static int watched(int dir, const char* path, char* out) {
  out[0] = '\0';
  if (path == NULL) return 0;
  if (path[0] == '/') {
    snprintf(out, PATH_SIZE, "%s", path);
  } else {
    char base[PATH_SIZE], link[64];
    ssize_t size = -1;
    if (dir == AT_FDCWD) {
      size = getcwd(base, sizeof base) != NULL ? (ssize_t)strlen(base) : -1;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
      size = readlink(link, base, sizeof base - 1);
    }
    if (size < 0) return 0;
    base[size] = '\0';
    if (strlen(base) + strlen(path) + 2 > PATH_SIZE) return 0;
    strcpy(out, base);
    strcat(out, "/");
    strcat(out, path);
  }
  return below_root(out);
}

static int watched_fd(int fd, char* out, struct stat* status) {
  char link[64];
  const int before = errno;
  int good = 0;
  if (fstat(fd, status) == 0 && (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode))) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, out, PATH_SIZE - 1);
    if (size > 0) {
      out[size] = '\0';
      good = below_root(out);
    }
  }
  errno = before;
  return good;
}

static void record(const char* op, uint64_t inode, const char* path, const char* other, int64_t offset,
                   const void* data, size_t length) {
  const int before = errno;
  const char* journal = getenv("PRONY_TEST_JOURNAL");
  if (journal != NULL) {
    if (journal_fd < 0) journal_fd = NEXT(open)(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    char head[3 * PATH_SIZE];
    const int size = snprintf(head, sizeof head, "%s\t%llu\t%s\t%s\t%lld\t%zu\n", op, (unsigned long long)inode, path,
                              other != NULL ? other : "", (long long)offset, data != NULL ? length : (size_t)0);
    struct iovec parts[2] = {{head, (size_t)size}, {(void*)data, data != NULL ? length : 0}};
    if (journal_fd < 0 || NEXT(writev)(journal_fd, parts, 2) != size + (ssize_t)parts[1].iov_len) abort();
  }
  errno = before;
}

static int open_any(int dir, const char* path, int flags, mode_t mode) {
  char full[PATH_SIZE];
  int (*real)(int, const char*, int, ...) = NEXT(openat);
  if (!(flags & (O_CREAT | O_TRUNC)) || !watched(dir, path, full)) return real(dir, path, flags, mode);
  pthread_mutex_lock(&journal_lock);
  struct stat status;
  const int existed = fstatat(dir, path, &status, 0) == 0;
  const int fd = real(dir, path, flags, mode);
  if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    if (!existed) record("creat", status.st_ino, full, NULL, 0, NULL, 0);
    if (existed && (flags & O_TRUNC)) record("trunc", status.st_ino, full, NULL, 0, NULL, 0);
  }
  pthread_mutex_unlock(&journal_lock);
  return fd;
}

static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? (mode_t)va_arg(rest, int) : 0; }

#define OPEN(name)                                \
  int name(const char* path, int flags, ...) {    \
    va_list rest;                                 \
    va_start(rest, flags);                        \
    const mode_t mode = mode_of(flags, rest);     \
    va_end(rest);                                 \
    return open_any(AT_FDCWD, path, flags, mode); \
  }
#define OPENAT(name)                                    \
  int name(int dir, const char* path, int flags, ...) { \
    va_list rest;                                       \
    va_start(rest, flags);                              \
    const mode_t mode = mode_of(flags, rest);           \
    va_end(rest);                                       \
    return open_any(dir, path, flags, mode);            \
  }
OPEN(open)
OPEN(open64)

static ssize_t wrote(int fd, const void* data, size_t length, int64_t offset) {  // offset −1: where it stands
  char path[PATH_SIZE];
  struct stat status;
  const int seen = watched_fd(fd, path, &status);
  if (seen) pthread_mutex_lock(&journal_lock);
  const ssize_t put = offset < 0 ? NEXT(write)(fd, data, length) : NEXT(pwrite64)(fd, data, length, offset);
  if (seen && put > 0)
    record("write", status.st_ino, path, NULL, offset < 0 ? (int64_t)lseek64(fd, 0, SEEK_CUR) - put : offset, data,
           (size_t)put);
  if (seen) pthread_mutex_unlock(&journal_lock);
  return put;
}

ssize_t write(int fd, const void* data, size_t length) { return wrote(fd, data, length, -1); }
ssize_t pwrite64(int fd, const void* data, size_t length, off64_t offset) { return wrote(fd, data, length, offset); }
ssize_t pwrite(int fd, const void* data, size_t length, off_t offset) { return wrote(fd, data, length, offset); }

static int truncated(int fd, int64_t size) {
  char path[PATH_SIZE];
  struct stat status;
  const int seen = watched_fd(fd, path, &status);
  if (seen) pthread_mutex_lock(&journal_lock);
  const int done = NEXT(ftruncate64)(fd, size);
  if (seen && done == 0) record("trunc", status.st_ino, path, NULL, size, NULL, 0);
  if (seen) pthread_mutex_unlock(&journal_lock);
  return done;
}
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }
int ftruncate(int fd, off_t size) { return truncated(fd, size); }

static int synced(int fd, int (*real)(int)) {
  char path[PATH_SIZE];
  struct stat status;
  const int seen = watched_fd(fd, path, &status);
  if (seen) pthread_mutex_lock(&journal_lock);
  const int done = real(fd);
  if (seen && done == 0) record(S_ISDIR(status.st_mode) ? "syncdir" : "sync", status.st_ino, path, NULL, 0, NULL, 0);
  if (seen) pthread_mutex_unlock(&journal_lock);
  return done;
}
int fsync(int fd) { return synced(fd, NEXT(fsync)); }
int fdatasync(int fd) { return synced(fd, NEXT(fdatasync)); }

// An operation on names: done, then written down.
#define NAMES(op, call, dir, path, other_dir, other)            \
  do {                                                          \
    char from[PATH_SIZE], to[PATH_SIZE] = "";                   \
    const int seen = watched(dir, path, from);                  \
    (void)watched(other_dir, other, to);                        \
    if (seen) pthread_mutex_lock(&journal_lock);                \
    const int done = (call);                                    \
    if (seen && done == 0) record(op, 0, from, to, 0, NULL, 0); \
    if (seen) pthread_mutex_unlock(&journal_lock);              \
    return done;                                                \
  } while (0)

int rename(const char* a, const char* b) { NAMES("rename", NEXT(rename)(a, b), AT_FDCWD, a, AT_FDCWD, b); }
int link(const char* a, const char* b) { NAMES("link", NEXT(link)(a, b), AT_FDCWD, a, AT_FDCWD, b); }
int unlink(const char* a) { NAMES("unlink", NEXT(unlink)(a), AT_FDCWD, a, AT_FDCWD, (const char*)NULL); }
int rmdir(const char* a) { NAMES("unlink", NEXT(rmdir)(a), AT_FDCWD, a, AT_FDCWD, (const char*)NULL); }
int remove(const char* a) { NAMES("unlink", NEXT(remove)(a), AT_FDCWD, a, AT_FDCWD, (const char*)NULL); }
int unlinkat(int d, const char* a, int f) { NAMES("unlink", NEXT(unlinkat)(d, a, f), d, a, d, (const char*)NULL); }
int mkdir(const char* a, mode_t m) { NAMES("mkdir", NEXT(mkdir)(a, m), AT_FDCWD, a, AT_FDCWD, (const char*)NULL); }
int renameat(int d, const char* a, int e, const char* b) { NAMES("rename", NEXT(renameat)(d, a, e, b), d, a, e, b); }

// Last, for what is above calls the real one.
OPENAT(openat)
OPENAT(openat64)
