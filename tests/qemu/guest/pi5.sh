# What the guest does whose device tree is that of a Raspberry Pi 5 (pi5.dts): the firmware's mailbox, served by CUSE. The
# PMIC's answer has the twelve rails that a Raspberry Pi 5 tells and its two voltages without a current, in no order: what is
# paired by place is paired wrongly.
interval=50ms # the emulated processor has better to do
load fuse
load cuse
# firmware MILLIDEGREES HERTZ THROTTLED CORE_AMPERES
firmware() {
  cat >/tmp/firmware.new <<END
$1 $2 $3
   3V3_SYS_V volt(9)=3.31652900V
  VDD_CORE_A current(7)=${4}A
 3V7_WL_SW_A current(0)=0.09466522A
   3V3_SYS_A current(1)=0.08197812A
  DDR_VDDQ_V volt(12)=0.60622650V
   1V8_SYS_A current(2)=0.15029320A
  DDR_VDD2_A current(3)=0.21390372A
     EXT5V_V volt(24)=5.08530000V
  DDR_VDDQ_A current(4)=0.05200000A
   1V1_SYS_A current(5)=0.20299340A
    0V8_SW_A current(6)=0.30546610A
   3V3_DAC_A current(17)=0.00100000A
   3V3_ADC_A current(18)=0.00018315A
   0V8_AON_A current(16)=0.00274725A
      HDMI_A current(22)=0.01660560A
 3V7_WL_SW_V volt(8)=3.62925200V
  VDD_CORE_V volt(15)=0.74944980V
   1V8_SYS_V volt(10)=1.79877700V
  DDR_VDD2_V volt(11)=1.10146400V
   1V1_SYS_V volt(13)=1.10402800V
    0V8_SW_V volt(14)=0.79853400V
   3V3_DAC_V volt(20)=3.31043600V
   3V3_ADC_V volt(21)=3.31684600V
   0V8_AON_V volt(19)=0.79794790V
      HDMI_V volt(23)=5.10138000V
      BATT_V volt(25)=0.00000000V
END
  mv /tmp/firmware.new /tmp/firmware
  cat /tmp/firmware
}
firmware 55500 1500000000 80000 1.11625000 >/tmp/before   # the soft temperature limit has held before
(vcio /tmp/firmware &)   # nobody's job: ended() waits for every job
tries=0
until [ -e /dev/vcio ] || [ $tries = 100 ]; do usleep 50000; tries=$((tries + 1)); done
take pi5.before cat /tmp/before
take pi5.sensors prony sensors --json
record pi5
sleep 2
# How long the change took, on the clock that readings are stamped by.
stamp() { awk '{ printf "%.0f\n", $1 * 1e9 }' /proc/uptime; }
stamp >/tmp/step
firmware 61300 2400000000 90001 6.50000000 >/tmp/after    # under-voltage now, and since the start
stamp >>/tmp/step
sleep 2.5
ended pi5
take pi5.after cat /tmp/after
take pi5.step cat /tmp/step
told pi5
killall vcio
