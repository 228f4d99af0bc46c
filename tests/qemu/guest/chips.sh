# Chips on a simulated I2C bus (i2c-stub) with the kernel's own drivers: ina3221, ina226, lm75. Sourced by the steps of both
# machines. A stub holds what is written and computes nothing: shunt, current and power are each written.
# Source of the registers: the data sheets of INA3221, INA226 and LM75, as the drivers read them.
load i2c-stub chip_addr=0x40,0x41,0x48
load i2c-dev
load ina3221
load ina2xx
load lm75
bus=$(grep -l 'SMBus stub' /sys/class/i2c-dev/i2c-*/name | sed 's/.*i2c-\([0-9]*\).*/\1/')

# INA3221: configuration as after power-on, conversion ready (0x0f, bit 0), shunt (steps of 40 uV, bits 3 to 15), bus (8 mV).
i2cw "$bus" 0x40 0x00 0x7127 >/dev/null
i2cw "$bus" 0x40 0x0f 0x0001 >/dev/null
i2cw "$bus" 0x40 0x01 0x2710 >/dev/null   # channel 1: 50 mV over 10 mOhm: 5 A
i2cw "$bus" 0x40 0x02 0x2ee0 >/dev/null   #            12 V
i2cw "$bus" 0x40 0x03 0x0190 >/dev/null   # channel 2: 2 mV: 200 mA
i2cw "$bus" 0x40 0x04 0x0ce8 >/dev/null   #            3.304 V (steps of 8 mV)
i2cw "$bus" 0x40 0x05 0x0000 >/dev/null   # channel 3: no current
i2cw "$bus" 0x40 0x06 0x1388 >/dev/null   #            5 V
echo ina3221 0x40 >"/sys/bus/i2c/devices/i2c-$bus/new_device"
i2cw "$bus" 0x40 0x00 0x7127 >/dev/null   # again: the driver resets it, and a stub's reset bit never clears itself
# INA226 with its shunt of 10 mOhm: bus 1.25 mV, current 250 uA, power 6.25 mW a step.
i2cw "$bus" 0x41 0x02 0x2580 >/dev/null   # 12 V
i2cw "$bus" 0x41 0x04 0x0400 >/dev/null   # 256 mA
i2cw "$bus" 0x41 0x03 0x0200 >/dev/null   # 3.2 W
echo ina226 0x41 >"/sys/bus/i2c/devices/i2c-$bus/new_device"
# LM75: half degrees, in the upper nine bits.
i2cw "$bus" 0x48 0x00 0x2d80 >/dev/null   # 45.5 degrees
echo lm75 0x48 >"/sys/bus/i2c/devices/i2c-$bus/new_device"

take chips.files say_files /sys/class/hwmon/hwmon*/name /sys/class/hwmon/hwmon*/*_input
take chips.sensors prony sensors --json
record chips
sleep 0.7
take chips.current i2cw "$bus" 0x40 0x01 0x1388   # channel 1: 2.5 A
take chips.power i2cw "$bus" 0x41 0x03 0x0080     # 0.8 W
take chips.temperature i2cw "$bus" 0x48 0x00 0x1e00 # 30 degrees
sleep 0.7
ended chips
told chips
take chips.files_after say_files /sys/class/hwmon/hwmon*/name /sys/class/hwmon/hwmon*/*_input
