/* A C program that says what it does, in spans. Build: cc spans.c -lprony -o spans   Run: prony run -- ./spans
 * Without Prony in front of it, every call is a no-op. */
#include <prony/prony.h>
#include <stdio.h>

static double work(int steps) {
  double sum = 0;
  for (int i = 1; i <= steps; ++i) sum += 1.0 / i;
  return sum;
}

int main(void) {
  int recording = prony_open(NULL); /* the file that PRONY_SPANS names */
  if (recording < 0) fprintf(stderr, "spans: cannot use the span file, errno %d; going on without\n", -recording);

  prony_span load = prony_span_begin(PRONY_PHASE, "load", 0);
  double sum = work(100000);
  prony_span_end(load, PRONY_OK);

  for (int r = 1; r <= 3; ++r) {
    char name[16];
    snprintf(name, sizeof name, "request-%d", r);
    prony_span request = prony_span_begin(PRONY_REQUEST, name, 0);
    prony_span prefill = prony_span_begin(PRONY_PREFILL, NULL, request);
    sum += work(50000);
    prony_span_end(prefill, PRONY_OK);
    prony_span_count(request, "output_tokens", r);
    prony_span_attribute(request, "finish", "length");
    prony_span_end(request, PRONY_OK);
  }
  printf("%.3f\n", sum);
  prony_close();
  return 0;
}
