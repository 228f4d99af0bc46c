# The firmware's mailbox of a Raspberry Pi 4, served by CUSE: what Prony's control call brings through a real kernel.
load fuse
load cuse
echo "55500 1800000000 50000" >/tmp/firmware
(vcio /tmp/firmware &)   # nobody's job: ended() waits for every job
tries=0
until [ -e /dev/vcio ] || [ $tries = 100 ]; do usleep 50000; tries=$((tries + 1)); done
take mailbox.sensors prony sensors --json
record mailbox
sleep 2
echo "61300 600000000 50008" >/tmp/firmware.new && mv /tmp/firmware.new /tmp/firmware
sleep 2.5
ended mailbox
told mailbox
killall vcio
