/* libprony-meter: measures this program (or another process) into a Run, and reads Runs. C ABI, version 1, symbol
 * version PRONY_METER_1; functions, enumerators and members at the ends of structs are only ever added.
 *
 * Every function that returns int gives PRONY_ERROR_NONE (0) or a code, and prony_last_error() then has the words.
 * Nothing is printed, no exception leaves, nothing calls exit. Structs that the caller makes begin with struct_size:
 * set it to sizeof of the struct and the rest to 0, which means "the default" everywhere. Times are ns on
 * CLOCK_MONOTONIC, as prony_now_ns() tells them. Texts are UTF-8. Thread promise: a handle is used by one thread at a
 * time; different handles by any. A handle belongs to the process that made it: a forked child gets PRONY_ERROR_STATE.
 */
#ifndef PRONY_METER_H
#define PRONY_METER_H

#include <prony/arrow.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONY_METER_ABI_VERSION 1

enum prony_error {
  PRONY_ERROR_NONE = 0,
  PRONY_ERROR_ABSENT = 1,      /* is not there: a file, a sensor, a process, the program `prony` */
  PRONY_ERROR_DENIED = 2,      /* is there, but this user may not */
  PRONY_ERROR_GONE = 3,        /* was there and has left */
  PRONY_ERROR_TRANSIENT = 4,   /* may work at the next try */
  PRONY_ERROR_MALFORMED = 5,   /* not what it should be: no Run, a damaged one, one of a newer version */
  PRONY_ERROR_UNAVAILABLE = 6, /* cannot work here, or the recorder failed */
  PRONY_ERROR_FULL = 7,        /* no space, or a limit reached */
  PRONY_ERROR_USAGE = 8,       /* an argument is off */
  PRONY_ERROR_STATE = 9,       /* not now: stopped before it was started, a handle of another process */
  PRONY_ERROR_MEMORY = 10,     /* out of memory */
  PRONY_ERROR_INTERNAL = 11    /* a bug of Prony: please tell */
};
/* What the last call of this thread that failed had to say: what, where and what to do, on lines. "" before the first.
 * Valid until the next call of this thread that fails. */
const char* prony_last_error(void);
uint32_t prony_meter_abi_version(void);
/* "0.1.0" */
const char* prony_meter_version(void);

/* ---- the meter ---- */

typedef struct prony_meter prony_meter;
typedef struct prony_run prony_run;
typedef struct prony_summary prony_summary;

enum prony_meter_mode {
  PRONY_METER_THREAD = 0, /* in threads of this program: nothing to start, gone when the program is */
  PRONY_METER_PROCESS = 1 /* a `prony` of its own: measures on when this program crashes, and says how it ended */
};
enum prony_meter_flags {
  PRONY_METER_FORCE = 1,         /* `out` may be there already: it is replaced */
  PRONY_METER_ENVIRONMENT = 2,   /* from start to stop PRONY_SPANS is set, so that programs that this one starts write
                                    spans   too. setenv(3) is not safe beside threads that read the environment. */
  PRONY_METER_EVERY_CHANNEL = 4, /* also channels that are left out by default */
  PRONY_METER_KEPT_BASELINE = 8, /* the idle power that `prony baseline` kept of this machine */
  PRONY_METER_LEAVE_SPANS = 16   /* this program's spans stay where they go now */
};

typedef struct prony_meter_options {
  uint32_t struct_size;
  uint32_t mode;        /* enum prony_meter_mode */
  uint32_t flags;       /* enum prony_meter_flags */
  uint32_t reserved;    /* 0 */
  const char* out;      /* the Run file; NULL: runs/<utc>-<name>.prony, numbered where that is there */
  const char* name;     /* of the target: letters, digits, "-_.@"; NULL: "program" */
  const char* sensors;  /* "rapl,nvml"; NULL: all there are */
  const char* simulate; /* "laptop": a simulated machine in the place of this one; NULL: none */
  int64_t interval_ns;  /* between two reads of fast sensors; 0: 10 ms; 1 ms to 1 min */
  int64_t baseline_ns;  /* start() first measures this long what the machine draws at rest; 0: not */
  int64_t pid;          /* who is measured, with its descendants; 0: this process. In threads: 0 only */
  const char* program;  /* the `prony` to start; NULL: $PRONY_PROGRAM, beside this library, in ../bin of it, in PATH */
} prony_meter_options;

/* Checks the options and that what they name can be had; measures nothing yet. `options` may be NULL. */
int prony_meter_open(const prony_meter_options* options, prony_meter** meter);
/* Measuring goes on when this returns; spans of this program go into the Run from now on. Once per meter. */
int prony_meter_start(prony_meter* meter);
/* Ends the Run; later calls give 0 again. Spans go where they went before. Up to a second, for late counters. */
int prony_meter_stop(prony_meter* meter);
/* Stops it if need be and frees the handle; NULL: nothing. The Run file stays. */
int prony_meter_close(prony_meter* meter);
/* Where the Run lies; NULL before start. Valid until close. */
const char* prony_meter_path(const prony_meter* meter);
/* The Run so far: a reader of its own, to be closed. Before stop it lags by up to a second. */
int prony_meter_run(prony_meter* meter, prony_run** run);
/* Table "samples" of the Run so far: a row a tick, begin_ns and end_ns of it, a column a channel (null: not read). */
int prony_meter_stats(prony_meter* meter, struct ArrowSchema* schema, struct ArrowArray* array);
/* The same numbers as `prony show`; provisional before stop. To be freed. */
int prony_meter_summary(prony_meter* meter, prony_summary** summary);

/* ---- a Run ---- */

enum prony_recording_state { PRONY_RUN_RECORDING = 0, PRONY_RUN_COMPLETE = 1, PRONY_RUN_INTERRUPTED = 2 };

typedef struct prony_channel {
  uint32_t struct_size;
  uint32_t flags;      /* 1: measured, 2: derived, 4: modelled; 8: a counter (else a gauge); 16: gives joules */
  const char* name;    /* "rapl.package-0.energy" */
  const char* sensor;  /* "rapl" */
  const char* device;  /* "intel-rapl:0" */
  const char* domain;  /* "package-0" */
  const char* measure; /* "energy" */
  const char* unit;    /* "J": of value = reading × scale */
  const char* part_of; /* name of the channel that this one is inside of; NULL: none is known */
  double scale;        /* unit per count */
} prony_channel;
enum prony_channel_flags {
  PRONY_CHANNEL_MEASURED = 1,
  PRONY_CHANNEL_DERIVED = 2,
  PRONY_CHANNEL_MODELLED = 4,
  PRONY_CHANNEL_COUNTER = 8,
  PRONY_CHANNEL_ENERGY = 16
};

typedef struct prony_span_record {
  uint32_t struct_size;
  int32_t kind;    /* enum prony_span_kind */
  int32_t status;  /* enum prony_status; 2: begun and never ended */
  uint32_t thread; /* spans of one number were written by one thread */
  uint64_t id;
  uint64_t parent; /* 0: none */
  int64_t begin_ns;
  int64_t end_ns;
  int64_t pid;
  const char* name; /* may be "" */
} prony_span_record;

/* One that still records is read beside its recorder; one whose recorder died is recovered. */
int prony_run_open(const char* path, prony_run** run);
void prony_run_close(prony_run* run);      /* NULL: nothing */
int prony_run_state(const prony_run* run); /* enum prony_recording_state; -1 for NULL */
const char* prony_run_path(const prony_run* run);
/* "machine.cpu_model", "run.kind", …; NULL: the Run does not say. Texts of a Run are valid until it is closed. */
const char* prony_run_fact(const prony_run* run, const char* key);
uint64_t prony_run_spans_lost(const prony_run* run);
size_t prony_run_channel_count(const prony_run* run);
int prony_run_channel(const prony_run* run, size_t index, prony_channel* channel);
/* Ordered by begin. */
size_t prony_run_span_count(const prony_run* run);
int prony_run_span(const prony_run* run, size_t index, prony_span_record* span);
/* PRONY_ERROR_ABSENT: the span has no such count or attribute. */
int prony_run_span_value(const prony_run* run, size_t index, const char* key, int64_t* value);
int prony_run_span_text(const prony_run* run, size_t index, const char* key, const char** text);
/* A table of `prony export` (samples, spans, charges, channels, requests, targets, processes, passports) or "parties"
 * (what a summary has), whole: a struct array, one child a column; int64, float64 or utf8, null where nothing is. */
int prony_run_table(prony_run* run, const char* table, struct ArrowSchema* schema, struct ArrowArray* array);
/* The readings of one channel whose tick lies in [from_ns, to_ns), in batches: begin_ns, end_ns, raw (int64, as read),
 * value (float64, in the unit; null in a gap), quality (utf8: ok, late, gap). The Run must stay open until the stream
 * is released. from INT64_MIN and to INT64_MAX: all. */
int prony_run_readings(prony_run* run, const char* channel, int64_t from_ns, int64_t to_ns,
                       struct ArrowArrayStream* stream);
int prony_run_summary(prony_run* run, prony_summary** summary);

/* ---- a summary ---- */

/* One party's joules of one channel in the measured window. */
typedef struct prony_joules {
  uint32_t struct_size;
  uint32_t present;    /* 0: there is no such number and `absent` says why; the doubles mean nothing then */
  uint32_t headline;   /* 1: the channel is one of those that add up to the machine's joules */
  uint32_t resolvable; /* 0: the window is too short for this sensor */
  const char* channel;
  const char* domain;
  /* "gross": all that the domain drew in the measured window; "active": gross above idle; "marginal": what would not
   * have been drawn without the targets. "recorded": of the whole Run, which the targets ("target", one row each),
   * "foreign", "prony", "idle" and "unattributed" add up to. */
  const char* party;
  const char* target; /* NULL but for party "target" */
  const char* origin; /* "measured", "derived", "modelled" */
  const char* kind;   /* what low and high promise: "bound", "interval(0.95)", "range"; NULL where absent */
  const char* absent; /* the reason; NULL where present */
  double value_j;
  double low_j;
  double high_j;
} prony_joules;

void prony_summary_free(prony_summary* summary); /* NULL: nothing */
size_t prony_summary_count(const prony_summary* summary);
/* Texts are valid until the summary is freed. */
int prony_summary_joules(const prony_summary* summary, size_t index, prony_joules* joules);
/* All headline channels together: party "gross", channel "headline". PRONY_ERROR_ABSENT: no channel gives joules. */
int prony_summary_headline(const prony_summary* summary, prony_joules* joules);
/* The measured window. PRONY_ERROR_ABSENT: nothing of it is on record yet. */
int prony_summary_window(const prony_summary* summary, int64_t* begin_ns, int64_t* end_ns);
/* How the command or the watched process ended: its exit code (128 + signal where one killed it) and the signal (0:
 * none). PRONY_ERROR_ABSENT: it had not ended, or nobody could tell. */
int prony_summary_exit(const prony_summary* summary, int* code, int* signal);
/* What `prony show --json` prints (schema prony.summary/1); valid until the summary is freed. */
const char* prony_summary_json(prony_summary* summary);

#ifdef __cplusplus
}
#endif
#endif
