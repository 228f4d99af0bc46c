# What the x86-64 guest does.
. /rig/chips.sh

# A battery that says what it is told; its hwmon twin is no sensor of rails.
load test_power battery_status=discharging battery_capacity=77 battery_voltage=12600000 battery_current=1500000
take battery.files say_files /sys/class/power_supply/test_battery/uevent
take battery.sensors prony sensors --json
record battery 3 &
sleep 1.5
echo 2000000 >/sys/module/test_power/parameters/battery_current
echo charging >/sys/module/test_power/parameters/battery_status
echo off >/sys/module/test_power/parameters/ac_online
wait
told battery
rmmod test_power

# Joules whose truth is known, through the powercap core: close below the wrap, in steps of power.
# 4294967296 counts of 61 uJ fill the register; 30 J before that it wraps within the first second.
load prony_rig mw=10000,4000,1500 start_counts=4294475492
take cap.sensors prony sensors --json
setuidgid() { su -s /bin/sh nobody -c "$*"; }
take cap.denied setuidgid prony sensors --json
record cap 3 &
sleep 1
rig=/sys/module/prony_rig/parameters
echo 42000,20000,5000 >$rig/mw
sleep 1
echo 65500 >$rig/temp_mc
echo 7000,1000,250 >$rig/mw
wait
take cap.log cat $rig/log
told cap
rmmod prony_rig

# The same joules, through the perf core.
load prony_rig mw=10000,4000,1500 perf=1
take perf.sensors prony sensors --json
record perf 3 &
sleep 1
echo 42000,20000,5000 >$rig/mw
sleep 1
echo 7000,1000,250 >$rig/mw
wait
take perf.log cat $rig/log
told perf
