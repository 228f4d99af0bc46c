"""A folder that stands in for /sys and /proc of a machine with 100 readings: what every tool in the comparison reads.

20 energy counters (powercap), 12 powers and 32 temperatures (hwmon), 20 thermal zones, 16 clocks (cpufreq). Constructed
after Documentation/power/powercap, hwmon/sysfs-interface, driver-api/thermal and admin-guide/pm/cpufreq.
"""
import os

READINGS = {"energy": 20, "power": 12, "temperature": 32, "zone": 20, "clock": 16}


def _write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
    return path


def make(root):
    """Makes root/sys and root/proc; returns the paths of the 100 files that hold a reading."""
    files = []
    for i in range(READINGS["energy"]):
        zone = f"sys/class/powercap/intel-rapl:{i}"
        _write(root, f"{zone}/name", f"package-{i}")
        _write(root, f"{zone}/max_energy_range_uj", 262143328850)
        _write(root, f"{zone}/enabled", 1)
        files.append(_write(root, f"{zone}/energy_uj", 123456789012 + i * 1000003))
    for chip in range(4):
        folder = f"sys/class/hwmon/hwmon{chip}"
        _write(root, f"{folder}/name", f"board{chip}")
        for i in range(1, READINGS["power"] // 4 + 1):
            _write(root, f"{folder}/power{i}_label", f"rail{i}")
            files.append(_write(root, f"{folder}/power{i}_input", 12345678 + i))
        for i in range(1, READINGS["temperature"] // 4 + 1):
            _write(root, f"{folder}/temp{i}_label", f"spot{i}")
            _write(root, f"{folder}/temp{i}_max", 90000)
            _write(root, f"{folder}/temp{i}_crit", 100000)
            files.append(_write(root, f"{folder}/temp{i}_input", 45000 + 100 * i))
    for i in range(READINGS["zone"]):
        zone = f"sys/class/thermal/thermal_zone{i}"
        _write(root, f"{zone}/type", f"zone{i}")
        _write(root, f"{zone}/policy", "step_wise")
        _write(root, f"{zone}/mode", "enabled")
        files.append(_write(root, f"{zone}/temp", 41000 + 100 * i))
    cpus = READINGS["clock"]
    for name in ("online", "present", "possible"):
        _write(root, f"sys/devices/system/cpu/{name}", f"0-{cpus - 1}")
    for i in range(cpus):
        policy = f"sys/devices/system/cpu/cpufreq/policy{i}"
        for name, text in (("affected_cpus", i), ("related_cpus", i), ("cpuinfo_min_freq", 800000),
                           ("cpuinfo_max_freq", 3500000), ("cpuinfo_transition_latency", 0), ("scaling_min_freq", 800000),
                           ("scaling_max_freq", 3500000), ("scaling_governor", "schedutil"),
                           ("scaling_available_governors", "performance schedutil"), ("scaling_driver", "acpi-cpufreq"),
                           ("scaling_setspeed", "<unsupported>")):
            _write(root, f"{policy}/{name}", text)
        files.append(_write(root, f"{policy}/scaling_cur_freq", 2400000 + i))
        cpu = os.path.join(root, f"sys/devices/system/cpu/cpu{i}")
        os.makedirs(os.path.join(cpu, "topology"))
        os.symlink(f"../cpufreq/policy{i}", os.path.join(cpu, "cpufreq"))
        _write(root, f"sys/devices/system/cpu/cpu{i}/topology/physical_package_id", 0)
        _write(root, f"sys/devices/system/cpu/cpu{i}/topology/core_id", i)
    # Without "cpu MHz", as on most machines that are not x86: whoever asks for clocks reads the 16 files.
    _write(root, "proc/cpuinfo", "\n".join(f"processor\t: {i}\nmodel name\t: constructed\n" for i in range(cpus)))
    return files
