# What the guest does whose device tree is that of a Jetson Orin Nano (jetson.dts): its one INA3221, with the kernel's driver,
# on a bus of the rig's. The registers are in steps of 40 uV (shunt) and 8 mV (bus), in bits 3 to 15.
interval=50ms # the emulated processor has better to do
load prony_bus
load i2c-dev
bus=$(grep -l prony_bus /sys/class/i2c-dev/i2c-*/name | sed 's/.*i2c-\([0-9]*\).*/\1/')
write() { i2cw "$bus" 0x40 "$1" "$2"; }
write 0x01 0x0448 >/dev/null   # VDD_IN: 5.48 mV over 5 mOhm: 1.096 A
write 0x02 0x13c8 >/dev/null   #         5.064 V
write 0x03 0x0100 >/dev/null   # VDD_CPU_GPU_CV: 1.28 mV: 256 mA
write 0x04 0x13c8 >/dev/null   #         5.064 V
write 0x05 0x0128 >/dev/null   # VDD_SOC: 1.48 mV: 296 mA
write 0x06 0x13c0 >/dev/null   #         5.056 V
load ina3221

chip=$(dirname "$(grep -l ina3221 /sys/class/hwmon/hwmon*/name)")
take jetson.files say_files "$chip"/*_label "$chip"/*_input "$chip"/*_resistor "$chip"/samples "$chip"/update_interval
take jetson.sensors prony sensors --json
take jetson.text prony sensors
record jetson
sleep 2   # with so few readings a larger step of the power would leave too much open to be told as joules
take jetson.current write 0x01 0x0600   # VDD_IN: 7.68 mV: 1.536 A
sleep 2   # long against what an emulator that has to wait for its processor misses
ended jetson
told jetson

# The mean of 16 conversions, as a board may be set up.
echo 16 >"$chip/samples"
take averaged.files say_files "$chip/samples" "$chip/update_interval"
take averaged.sensors prony sensors --json

# One input that is switched off: what is left is not the module.
echo 0 >"$chip/in1_enable"
take partial.sensors prony sensors --json
