/* libprony: spans from any program into the Run that Prony is recording. C ABI, version 1: functions and enumerators
 * are only ever added (symbol version PRONY_1); tests/client/abi.txt is what the tests hold it against. The meter and
 * the Run are in prony/meter.h and another library, for this one needs the C library only.
 *
 * prony_open() maps the span file named by the argument or, if that is NULL, by the environment variable PRONY_SPANS
 * (Prony sets it for what it starts). Where nobody records, everything below is a cheap no-op: programs keep their
 * calls. Every thread writes into a ring of its own; nothing blocks, nothing allocates after a thread's first span.
 * What does not fit is dropped and counted; the count is part of the Run. Times are CLOCK_MONOTONIC. Thread promise:
 * every function may be called from any thread. A span may be ended by another thread than began it.
 */
#ifndef PRONY_H
#define PRONY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONY_ABI_VERSION 1

typedef uint64_t prony_span; /* 0: no span (nobody records, or dropped) */

/* The numbers of prony::SpanKind. */
enum prony_span_kind {
  PRONY_RUN = 0,
  PRONY_PHASE = 1,
  PRONY_REQUEST = 2,
  PRONY_TOKENISE = 3,
  PRONY_PREFILL = 4,
  PRONY_DECODE = 5,
  PRONY_TOKEN = 6,
  PRONY_BATCH = 7,
  PRONY_LAYER = 8,
  PRONY_PROCESS = 9,
  PRONY_USER = 10
};
enum prony_status { PRONY_OK = 0, PRONY_FAILED = 1 };

/* 0: a recorder listens; 1: nobody records (no path given); <0: −errno of why the file could not be used. Idempotent.
 */
int prony_open(const char* span_file);
void prony_close(void);
/* 1 if spans are being recorded, else 0. */
int prony_recording(void);
uint32_t prony_abi_version(void);

/* parent: the enclosing span, or 0 for none. name: UTF-8, copied; may be NULL. */
prony_span prony_span_begin(int kind, const char* name, prony_span parent);
void prony_span_end(prony_span span, int status);
/* An integer that belongs to the span: prompt_tokens, bytes, … The same key again replaces the value. */
void prony_span_count(prony_span span, const char* key, int64_t value);
/* A text that belongs to the span; at most 65535 bytes are kept. Of spans around work on an accelerator the key "clock"
 * says how they were stamped: "device" (by it), "synchronised" (by the host, after waiting for it), "host-asynchronous"
 * (by the host, without waiting: joules of the accelerator are then not told for the span). */
void prony_span_attribute(prony_span span, const char* key, const char* value);
/* A span whose begin and end are already known (ns on CLOCK_MONOTONIC), e.g. a token or a device-stamped kernel. */
prony_span prony_span_complete(int kind, const char* name, prony_span parent, int64_t begin_ns, int64_t end_ns);
/* Another clock than CLOCK_MONOTONIC: of an accelerator, or of another process. */
typedef struct prony_clock {
  uint32_t struct_size; /* sizeof(struct prony_clock) */
  uint32_t reserved;    /* 0 */
  const char* name;     /* "cuda:0"; UTF-8, copied */
  int64_t offset_ns;    /* what to add to its stamps, in ns, to have CLOCK_MONOTONIC */
  int64_t doubt_ns;     /* how far the offset may be off to either side, in ns; 0 or more */
} prony_clock;
/* A span of asynchronous work that was stamped by `clock` (ns on it). The Run has it on CLOCK_MONOTONIC, with the
 * attributes clock "device" and clock_name and the counts clock_offset_ns and clock_doubt_ns. 0: nobody records, or the
 * clock or the stamps make no sense (no name, another struct_size, a doubt below 0, an end before its begin, a sum that
 * no int64_t holds): nothing is written then. */
prony_span prony_span_stamped(int kind, const char* name, prony_span parent, int64_t begin, int64_t end,
                              const struct prony_clock* clock);
/* How many slots the calling thread's ring has left (a begin, an end, a count, a token: one each; a text one for each
 * 20 bytes): who has thousands of spans to tell at once can wait for the recorder, which looks every few milliseconds,
 * and loses none. UINT32_MAX: nobody records, nothing can be lost. Since 0.1, symbol version PRONY_1.1. */
uint32_t prony_span_room(void);
/* The clock that spans are stamped with, in ns. */
int64_t prony_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
