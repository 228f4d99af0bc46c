"""Trees that are out to break who reads them: names, values, numbers of zones, links in circles."""

import os

# A line end, an escape that colours, quotes, a comma, UTF-8, bytes that are none, a formula of a spreadsheet.
EVIL = b'pack\x1b[31mage\n"0",\xc3\xa9\xff\x00;=\'x'
VALUES = (b"", b"\n", b"-5\n", b"nan\n", b"inf\n", b"1e9\n", b"18446744073709551616\n", b"-9223372036854775808\n",
          b"0x10\n", b"1 2\n", b"9" * 5000, b"\x00\xff\x1b[2J", b"\xef\xbb\xbf5\n", b"x" * 70_000)


def put(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def link(root, path, target):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    os.symlink(target, full)


def zone(root, number, name, energy=b"1000\n"):
    folder = f"sys/class/powercap/intel-rapl:{number}/"
    put(root, folder + "name", name)
    put(root, folder + "energy_uj", energy)
    put(root, folder + "max_energy_range_uj", "262143328850\n")


def make_evil(root):
    """Evil names wherever a name stands, an evil value in each of many zones; one zone is sound."""
    zone(root, 0, b"package-0\n")
    zone(root, 1, EVIL)
    for i, value in enumerate(VALUES):
        zone(root, 10 + i, b"zone-%d %s" % (i, EVIL), value)
    zone(root, 99, b"y" * 70_000)
    for folder, files in {
            "sys/class/hwmon/hwmon0": {"name": EVIL, "power1_input": "5000000", "power1_label": EVIL, "temp1_input": "45000",
                                       "temp1_label": b'\x1b]0;title\x07"\n,', "update_interval": "9" * 30},
            "sys/class/thermal/thermal_zone0": {"type": EVIL, "temp": "42000"},
            "sys/class/power_supply/BAT0": {"type": "Battery", "status": EVIL, "power_now": "7000000", "energy_now": "1e9"},
            "sys/devices/system/cpu/cpufreq/policy0": {"scaling_cur_freq": "800000", "scaling_governor": EVIL,
                                                       "scaling_driver": EVIL},
            "sys/class/dmi/id": {"product_name": EVIL, "sys_vendor": EVIL, "bios_version": EVIL},
            "proc": {"cpuinfo": b"processor : 0\nmodel name : " + EVIL + b"\n", "stat": "cpu 1 2 3 4 5 6 7 8 9 10\n",
                     "meminfo": "MemTotal: 99999999999999999999 kB\nMemFree: -1 kB\n", "cmdline": EVIL,
                     "swaps": b"Filename Type\n" + EVIL + b" partition 1 1 1\n"},
            "proc/self": {"mountinfo": EVIL * 300, "cgroup": EVIL}}.items():
        for name, text in files.items():
            put(root, f"{folder}/{name}", text)


def make_circles(root):
    """Links that lead to themselves, to each other and upwards, wherever folders are listed."""
    link(root, "sys/class/powercap/intel-rapl:0", "intel-rapl:0")
    link(root, "sys/class/powercap/intel-rapl:1", "../powercap")
    link(root, "sys/class/powercap/intel-rapl", ".")
    link(root, "sys/class/hwmon/hwmon0", "../../..")
    link(root, "sys/class/hwmon/hwmon1", "hwmon2")
    link(root, "sys/class/hwmon/hwmon2", "hwmon1")
    link(root, "sys/class/thermal/thermal_zone0", "../thermal")
    link(root, "sys/class/power_supply/BAT0", "../power_supply")
    link(root, "sys/class/net/eth0", "../net")
    link(root, "sys/block/sda", "../block")
    link(root, "sys/devices", "..")
    link(root, "proc/self", ".")
    link(root, "proc/1", "self")


def make_many(root, zones):
    for i in range(zones):
        zone(root, i, f"package-{i}\n", f"{i * 1000}\n")
    os.makedirs(os.path.join(root, "proc"), exist_ok=True)
