// SPDX-License-Identifier: GPL-2.0
/*
 * prony_rig: energy whose truth is known, shown by the kernel's own powercap, perf and thermal cores.
 *
 * It is no driver of any hardware. It draws the power that it is told, in mW per domain, adds it up exactly
 * (1 mW over 1 ns is 1 pJ, all integers), and registers
 *   - the powercap control type "intel-rapl" with package-0 and, inside it, core and dram: counts of 61 uJ in a 32-bit
 *     register, renewed once in update_ns, wrapping where the register ends;
 *   - with perf=1 the perf PMU "power" with energy-pkg, energy-cores and energy-ram: 64 bits in units of 2^-32 J that
 *     move in steps of 2^-14 J, as the kernel's rapl PMU gives them;
 *   - a thermal zone "x86_pkg_temp" with the temperature that it is told.
 * Module parameters: mw "package,core,dram" (each write begins a segment), log (every segment: its begin, the powers,
 * the joules so far), temp_mc, start_counts, update_ns, perf.
 */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/powercap.h>
#include <linux/thermal.h>
#include <linux/version.h>

enum { PACKAGE, CORE, DRAM, DOMAINS };
enum { MOST_SEGMENTS = 32 }; /* what fits into one page of text */
#define COUNT_UJ 61ULL
#define COUNT_PJ (COUNT_UJ * 1000000ULL)

struct segment {
  u64 begin_ns;    /* CLOCK_MONOTONIC */
  u64 mw[DOMAINS]; /* from then on */
  u64 pj[DOMAINS]; /* drawn before */
};

static DEFINE_RAW_SPINLOCK(lock);
static struct segment segments[MOST_SEGMENTS];
static unsigned int used;

static ulong start_counts;
module_param(start_counts, ulong, 0444);
MODULE_PARM_DESC(start_counts, "what the powercap registers hold at the start, in counts of 61 uJ");
static ulong update_ns = 1000000;
module_param(update_ns, ulong, 0444);
MODULE_PARM_DESC(update_ns, "the powercap registers are renewed at multiples of this");
static int temp_mc = 45000;
module_param(temp_mc, int, 0644);
MODULE_PARM_DESC(temp_mc, "temperature of the thermal zone, in 1/1000 of a degree Celsius");
static bool perf;
module_param(perf, bool, 0444);
MODULE_PARM_DESC(perf, "register the perf PMU too");

/* Joules drawn from the beginning to at_ns, in pJ. */
static u64 drawn_pj(int domain, u64 at_ns) {
  unsigned long flags;
  u64 pj = 0;
  unsigned int i;

  raw_spin_lock_irqsave(&lock, flags);
  for (i = used; i-- > 0;) {
    if (segments[i].begin_ns > at_ns) continue;
    pj = segments[i].pj[domain] + segments[i].mw[domain] * (at_ns - segments[i].begin_ns);
    break;
  }
  raw_spin_unlock_irqrestore(&lock, flags);
  return pj;
}

static int mw_set(const char* text, const struct kernel_param* kp) {
  u64 mw[DOMAINS];
  struct segment* next;
  unsigned long flags;
  int d, error = 0;

  if (sscanf(text, "%llu,%llu,%llu", &mw[PACKAGE], &mw[CORE], &mw[DRAM]) != DOMAINS) return -EINVAL;
  raw_spin_lock_irqsave(&lock, flags);
  if (used == MOST_SEGMENTS) {
    error = -ENOSPC;
  } else {
    next = &segments[used];
    next->begin_ns = ktime_get_ns();
    for (d = 0; d < DOMAINS; d++) {
      next->mw[d] = mw[d];
      next->pj[d] = used == 0 ? 0 : next[-1].pj[d] + next[-1].mw[d] * (next->begin_ns - next[-1].begin_ns);
    }
    used++;
  }
  raw_spin_unlock_irqrestore(&lock, flags);
  return error;
}

static int mw_get(char* buffer, const struct kernel_param* kp) {
  const struct segment* last = &segments[used > 0 ? used - 1 : 0];

  return scnprintf(buffer, PAGE_SIZE, "%llu,%llu,%llu\n", last->mw[PACKAGE], last->mw[CORE], last->mw[DRAM]);
}

static const struct kernel_param_ops mw_ops = {.set = mw_set, .get = mw_get};
module_param_cb(mw, &mw_ops, NULL, 0644);
MODULE_PARM_DESC(mw, "power from now on, in mW: package,core,dram");

static int log_get(char* buffer, const struct kernel_param* kp) {
  unsigned int i;
  int length = 0;

  for (i = 0; i < used; i++) {
    const struct segment* s = &segments[i];

    length += scnprintf(buffer + length, PAGE_SIZE - length, "%llu %llu %llu %llu %llu %llu %llu\n", s->begin_ns,
                        s->mw[PACKAGE], s->mw[CORE], s->mw[DRAM], s->pj[PACKAGE], s->pj[CORE], s->pj[DRAM]);
  }
  return length;
}

static const struct kernel_param_ops log_ops = {.get = log_get};
module_param_cb(log, &log_ops, NULL, 0444);
MODULE_PARM_DESC(log, "a line a segment: begin in ns, three powers in mW, three energies before it in pJ");

/* --- powercap ---------------------------------------------------------------------------------------------------- */

static struct powercap_control_type* control;
static struct powercap_zone zones[DOMAINS];
static int registered;

static int zone_energy(struct powercap_zone* zone, u64* uj) {
  u64 now = ktime_get_ns();
  u64 counts = start_counts + div64_u64(drawn_pj(zone - zones, now - now % update_ns), COUNT_PJ);

  *uj = (counts & 0xffffffffULL) * COUNT_UJ;
  return 0;
}

static int zone_range(struct powercap_zone* zone, u64* uj) {
  *uj = 0xffffffffULL * COUNT_UJ;
  return 0;
}

static int zone_release(struct powercap_zone* zone) { return 0; }

static const struct powercap_zone_ops zone_ops = {
    .get_energy_uj = zone_energy,
    .get_max_energy_range_uj = zone_range,
    .release = zone_release,
};

/* One limit, as real packages have: its greatest power says what is believable. */
static int limit_get(struct powercap_zone* zone, int id, u64* value) {
  *value = 100000000;
  return 0;
}

static int limit_set(struct powercap_zone* zone, int id, u64 value) { return -EACCES; }

static const char* limit_name(struct powercap_zone* zone, int id) { return "long_term"; }

static const struct powercap_zone_constraint_ops limit_ops = {
    .set_power_limit_uw = limit_set,
    .get_power_limit_uw = limit_get,
    .set_time_window_us = limit_set,
    .get_time_window_us = limit_get,
    .get_max_power_uw = limit_get,
    .get_name = limit_name,
};

static void powercap_out(void) {
  while (registered > 0) powercap_unregister_zone(control, &zones[--registered]);
  if (control) powercap_unregister_control_type(control);
  control = NULL;
}

static int powercap_in(void) {
  static const char* const names[DOMAINS] = {"package-0", "core", "dram"};
  struct powercap_zone* zone;

  control = powercap_register_control_type(NULL, "intel-rapl", NULL);
  if (IS_ERR(control)) {
    int error = PTR_ERR(control);

    control = NULL;
    return error;
  }
  for (registered = 0; registered < DOMAINS; registered++) {
    zone = powercap_register_zone(&zones[registered], control, names[registered],
                                  registered == PACKAGE ? NULL : &zones[PACKAGE], &zone_ops, 1, &limit_ops);
    if (IS_ERR(zone)) {
      powercap_out();
      return PTR_ERR(zone);
    }
  }
  return 0;
}

/* --- perf -------------------------------------------------------------------------------------------------------- */

static int domain_of(u64 config) {
  switch (config) {
    case 1: return CORE;
    case 2: return PACKAGE;
    case 3: return DRAM;
  }
  return -1;
}

static u64 perf_now(const struct perf_event* event) {
  u64 pj = drawn_pj(domain_of(event->attr.config), ktime_get_ns());

  return mul_u64_u64_div_u64(pj, 1ULL << 14, 1000000000000ULL) << 18;
}

static int event_init(struct perf_event* event) {
  if (event->attr.type != event->pmu->type) return -ENOENT;
  if (event->cpu < 0 || is_sampling_event(event) || domain_of(event->attr.config) < 0) return -EINVAL;
  event->cpu = 0;
  return 0;
}

static void event_read(struct perf_event* event) {
  u64 now = perf_now(event);

  local64_add(now - local64_xchg(&event->hw.prev_count, now), &event->count);
}

static void event_start(struct perf_event* event, int flags) { local64_set(&event->hw.prev_count, perf_now(event)); }

static void event_stop(struct perf_event* event, int flags) { event_read(event); }

static int event_add(struct perf_event* event, int flags) {
  if (flags & PERF_EF_START) event_start(event, flags);
  return 0;
}

static ssize_t text_show(struct device* device, struct device_attribute* attribute, char* buffer) {
  return sysfs_emit(buffer, "%s\n", (const char*)container_of(attribute, struct dev_ext_attribute, attr)->var);
}

#define TEXT(id, file, text) \
  static struct dev_ext_attribute id = {{{.name = (file), .mode = 0444}, text_show, NULL}, (void*)(text)}
#define EVENT(id, file, config)                                    \
  TEXT(id, file, config);                                          \
  TEXT(id##_scale, file ".scale", "2.3283064365386962890625e-10"); \
  TEXT(id##_unit, file ".unit", "Joules")

EVENT(cores, "energy-cores", "event=0x01");
EVENT(pkg, "energy-pkg", "event=0x02");
EVENT(ram, "energy-ram", "event=0x03");
TEXT(format_event, "event", "config:0-7");
TEXT(mask, "cpumask", "0");

static struct attribute* event_attrs[] = {
    &cores.attr.attr,    &cores_scale.attr.attr, &cores_unit.attr.attr, &pkg.attr.attr,      &pkg_scale.attr.attr,
    &pkg_unit.attr.attr, &ram.attr.attr,         &ram_scale.attr.attr,  &ram_unit.attr.attr, NULL,
};
static struct attribute* format_attrs[] = {&format_event.attr.attr, NULL};
static struct attribute* mask_attrs[] = {&mask.attr.attr, NULL};
static const struct attribute_group event_group = {.name = "events", .attrs = event_attrs};
static const struct attribute_group format_group = {.name = "format", .attrs = format_attrs};
static const struct attribute_group mask_group = {.attrs = mask_attrs};
static const struct attribute_group* groups[] = {&event_group, &format_group, &mask_group, NULL};

static struct pmu pmu = {
    .module = THIS_MODULE,
    .attr_groups = groups,
    .task_ctx_nr = perf_invalid_context,
    .event_init = event_init,
    .add = event_add,
    .del = event_stop,
    .start = event_start,
    .stop = event_stop,
    .read = event_read,
    .capabilities = PERF_PMU_CAP_NO_EXCLUDE,
};

/* --- thermal ----------------------------------------------------------------------------------------------------- */

static struct thermal_zone_device* zone_device;

static int temperature(struct thermal_zone_device* zone, int* milli_celsius) {
  *milli_celsius = temp_mc;
  return 0;
}

static struct thermal_zone_device_ops thermal_ops = {.get_temp = temperature};

static int thermal_in(void) {
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
  zone_device = thermal_zone_device_register("x86_pkg_temp", 0, 0, NULL, &thermal_ops, NULL, 0, 0);
#else
  zone_device = thermal_tripless_zone_device_register("x86_pkg_temp", NULL, &thermal_ops, NULL);
#endif
  if (IS_ERR(zone_device)) return PTR_ERR(zone_device);
  return thermal_zone_device_enable(zone_device);
}

/* ----------------------------------------------------------------------------------------------------------------- */

static int __init rig_init(void) {
  int error;

  if (used == 0) mw_set("0,0,0", NULL);
  error = powercap_in();
  if (error) return error;
  error = thermal_in();
  if (!error && perf) error = perf_pmu_register(&pmu, "power", -1);
  if (error) {
    if (!IS_ERR_OR_NULL(zone_device)) thermal_zone_device_unregister(zone_device);
    powercap_out();
  }
  return error;
}

static void __exit rig_exit(void) {
  if (perf) perf_pmu_unregister(&pmu);
  thermal_zone_device_unregister(zone_device);
  powercap_out();
}

module_init(rig_init);
module_exit(rig_exit);
MODULE_DESCRIPTION("energy whose truth is known, for the tests of Prony");
MODULE_LICENSE("GPL");
