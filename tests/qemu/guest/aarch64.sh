# What the aarch64 guest does.
. /rig/chips.sh
