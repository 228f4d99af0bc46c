# What the x86-64 guest does.
. /rig/chips.sh

# A battery that says what it is told; its hwmon twin is no sensor of rails.
load test_power battery_status=discharging battery_capacity=77 battery_voltage=12600000 battery_current=1500000
take battery.files say_files /sys/class/power_supply/test_battery/uevent
take battery.sensors prony sensors --json
record battery
sleep 0.7
echo 2000000 >/sys/module/test_power/parameters/battery_current
echo charging >/sys/module/test_power/parameters/battery_status
echo off >/sys/module/test_power/parameters/ac_online
sleep 0.7
ended battery
told battery
rmmod test_power

rig=/sys/module/prony_rig/parameters
power_steps() {
  echo 10000,4000,1500 >$rig/mw
  sleep 0.7
  echo 42000,20000,5000 >$rig/mw
  sleep 0.7
  echo 65500 >$rig/temp_mc
  echo 7000,1000,250 >$rig/mw
  sleep 0.7
}
as_nobody() { su -s /bin/sh nobody -c "$*"; }

# Joules whose truth is known, through the powercap core. A register holds 4294967296 counts of 61 uJ; it begins 2 J below
# its end, so that each domain goes over it once. It draws a little from the start: a counter that stands still is doubted.
load prony_rig start_counts=4294934509 mw=20,20,20
take cap.sensors prony sensors --json
take cap.denied as_nobody prony sensors --json
record cap
power_steps
ended cap
take cap.log cat $rig/log
told cap
rmmod prony_rig

# The same joules, through the perf core.
# It draws something from the start: counters that stand at nothing are taken for those of a guest without energy counters.
load prony_rig perf=1 mw=3000,1000,500
take perf.sensors prony sensors --json
record perf
power_steps
ended perf
take perf.log cat $rig/log
told perf
rmmod prony_rig

. /rig/mailbox.sh
