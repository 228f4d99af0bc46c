/* Measures itself and prints what it cost, by machine and by party, and how many ticks it took.
 * usage: measured RUN [SIMULATED-MACHINE] */
#include <prony/meter.h>
#include <prony/prony.h>

#include <stdio.h>
#include <string.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, prony_last_error());
  return 1;
}

static double work(void) {
  double sum = 0;
  for (int i = 1; i < 30000000; ++i) sum += 1.0 / i;
  return sum;
}

/* Any reader of Arrow arrays will do: here the least of one. */
static int64_t ticks_of(prony_meter* meter) {
  struct ArrowSchema schema;
  struct ArrowArray array;
  if (prony_meter_stats(meter, &schema, &array) != 0) return -1;
  const int64_t ticks = array.length;
  array.release(&array);
  schema.release(&schema);
  return ticks;
}

static int print_joules(prony_meter* meter) {
  prony_summary* summary = NULL;
  if (prony_meter_summary(meter, &summary) != 0) return failed("summary");
  for (size_t i = 0; i < prony_summary_count(summary); ++i) {
    prony_joules row;
    memset(&row, 0, sizeof row);
    row.struct_size = sizeof row;
    if (prony_summary_joules(summary, i, &row) != 0) return failed("joules");
    const char* target = row.target != NULL ? row.target : "";
    if (row.present)
      printf("%-28s %-12s %-8s %.3f J (%.3f to %.3f, %s, %s)\n", row.channel, row.party, target, row.value_j, row.low_j,
             row.high_j, row.kind, row.origin);
    else
      printf("%-28s %-12s %-8s none: %s\n", row.channel, row.party, target, row.absent);
  }
  prony_summary_free(summary);
  return 0;
}

int main(int argc, char** argv) {
  prony_meter_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  if (argc > 1) options.out = argv[1];
  if (argc > 2) options.simulate = argv[2];
  prony_meter* meter = NULL;
  if (prony_meter_open(&options, &meter) != 0) return failed("open");
  if (prony_meter_start(meter) != 0) return failed("start");
  const prony_span span = prony_span_begin(PRONY_USER, "work", 0);
  const double sum = work();
  prony_span_end(span, PRONY_OK);
  if (prony_meter_stop(meter) != 0) return failed("stop");
  printf("sum %.6f\nticks %lld\n", sum, (long long)ticks_of(meter));
  const int code = print_joules(meter);
  prony_meter_close(meter);
  return code;
}
