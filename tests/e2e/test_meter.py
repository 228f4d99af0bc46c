"""Meters at the wall: plugs over HTTP and TCP, their joules against what they truly gave, and all the ways they fail.

Kills: watt-minutes taken for watt-hours, a total that fell back to zero counted as energy, wall joules added to those of
the machine's own sensors, a password in a file or on the screen, a plug that hangs and holds the Run with it.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

import harness
from harness import Case, energy

sys.path.insert(0, os.path.join(harness.HERE, "../rigs"))
from fake_plug import FakePlug, Power  # noqa: E402
from fake_redfish import FakeRedfish, make_certificate  # noqa: E402


class MeterCase(Case):
    def plug(self, kind, **options):
        plug = FakePlug(kind, **options)
        self.addCleanup(plug.close)
        return plug

    def window_s(self, run="x.prony"):
        span = next(s for s in self.table(run, "spans") if s["kind"] == "run")
        return span["begin_ns"] / 1e9, span["end_ns"] / 1e9

    def rows(self, query, run="x.prony"):
        with contextlib.closing(sqlite3.connect(self.path(run))) as database:
            return database.execute(query).fetchall()

    def assert_truth_inside(self, row, truth_j):
        self.assertLessEqual(row["low_j"], truth_j)
        self.assertLessEqual(truth_j, row["high_j"])

    def login_file(self, password, mode=0o600):
        with open(self.path("login"), "w", encoding="utf-8") as file:
            file.write(f"machine 127.0.0.1 login admin password {password}\n")
        os.chmod(self.path("login"), mode)
        return self.path("login")


class Plugs(MeterCase):
    def test_every_kind_tells_the_joules_that_it_gave(self):
        for kind in ("shelly1", "shelly2", "tasmota", "kasa"):
            with self.subTest(kind), FakePlug(kind, power=Power(100, 20, 7)) as plug:
                summary = self.record(["sleep", "6"], "--meter", plug.url, "--force")
                row = energy(summary, "plug.wall.power")
                truth_j = plug.joules(*self.window_s())
                self.assert_truth_inside(row, truth_j)
                self.assertLess(abs(row["gross_j"] - truth_j), 0.08 * truth_j)
                self.assertEqual((row["domain"], row["origin"]), ("wall", "measured"))
                self.assertTrue(row["headline"])

    def test_a_counter_tells_its_joules_in_its_own_steps(self):
        # 20 kW in seconds is what hours of a real plug are: its step must be small beside it.
        for kind, step_j in (("shelly1", 60), ("shelly2", 3.6), ("tasmota", 3600), ("kasa", 3600)):
            with self.subTest(kind), FakePlug(kind, power=Power(20_000, 0)) as plug:
                summary = self.record(["sleep", "5"], "--meter", plug.url, "--force")
                row = energy(summary, "plug.wall.energy")
                begin_s, end_s = self.window_s()
                if row.get("gross_j") is not None:
                    self.assert_truth_inside(row, plug.joules(begin_s, end_s))
                self.assertGreater(row["ledger"]["recorded_j"], 0.5 * plug.joules(begin_s, end_s))
                channel = next(c for c in self.table("x.prony", "channels") if c["channel"] == "plug.wall.energy")
                self.assertAlmostEqual(channel["resolution"] * channel["scale"], step_j)

    def test_a_counter_that_was_reset_is_a_reset_and_loses_no_joule_of_the_power(self):
        plug = self.plug("shelly2", power=Power(5_000, 0))
        process = subprocess.Popen([harness.program("prony"), "run", "--out", self.path("x.prony"), "--json",
                                    self.path("x.json"), "--meter", plug.url, "--", "sleep", "6"], cwd=self.folder,
                                   env=self.environment(), stderr=subprocess.DEVNULL)
        time.sleep(3)
        plug.reset()
        self.assertEqual(process.wait(60), 0)
        summary = self.load("x.json")
        counter, power = energy(summary, "plug.wall.energy"), energy(summary, "plug.wall.power")
        self.assertEqual(counter["resets"], 1)
        self.assertLess(counter["ledger"]["recorded_j"], 40_000)  # not the seven million that it fell by
        self.assertGreater(counter["ledger"]["recorded_j"], 0)
        self.assert_truth_inside(power, plug.joules(*self.window_s()))

    def test_what_the_machine_measures_itself_is_part_of_the_wall_and_held_against_it(self):
        plug = self.plug("shelly2", power=Power(100, 0))
        tree = os.path.join(harness.ROOT, "tests/machines/intel-2-sockets")
        listed = json.loads(self.prony("sensors", "--sysfs", os.path.join(tree, "sys"), "--procfs",
                                       os.path.join(tree, "proc"), "--meter", plug.url, "--json").out)
        row = next(s for s in listed["sensors"] if s["name"] == "plug")
        self.assertEqual((row["state"], row["lane"]), ("ready", "blocking"))
        self.assertEqual([c["name"] for c in row["channels"]], ["plug.wall.power", "plug.wall.energy"])
        self.record(["sleep", "3"], "--sysfs", os.path.join(tree, "sys"), "--procfs", os.path.join(tree, "proc"),
                    "--meter", plug.url)
        channels = {c["channel"]: c for c in self.table("x.prony", "channels")}
        inside = [name for name, c in channels.items() if c.get("part_of") == "plug.wall.power"]
        self.assertIn("rapl.psys.energy", inside)  # and the packages inside of it, as before
        self.assertEqual(channels["rapl.package-0.energy"]["part_of"], "rapl.psys.energy")
        self.assertFalse(any(name.startswith(("plug.", "power_supply.", "cpu-model")) for name in inside))

    def test_two_meters_are_told_and_never_added(self):
        first, second = self.plug("shelly2", power=Power(60, 0)), self.plug("tasmota", power=Power(40, 0))
        summary = self.record(["sleep", "5"], "--meter", "left=" + first.url, "--meter", "right=" + second.url)
        window = self.window_s()
        for name, plug in (("left", first), ("right", second)):
            self.assert_truth_inside(energy(summary, f"plug.{name}.power"), plug.joules(*window))
        self.assertLess(summary["headline"]["gross_j"], 1.2 * first.joules(*window))
        told = [row for row in summary["unavailable"] if row["name"] == "meters"]
        self.assertEqual(len(told), 1, summary["unavailable"])
        self.assertIn("left + right are not added", told[0]["reason"])
        self.assertIn("#supply", told[0]["remedy"])

    def test_two_meters_that_are_said_to_feed_one_machine_are_added(self):
        first, second = self.plug("shelly2", power=Power(60, 0)), self.plug("tasmota", power=Power(40, 0))
        summary = self.record(["sleep", "5"], "--meter", f"left={first.url}#supply", "--meter", f"right={second.url}#supply")
        window = self.window_s()
        truth_j = first.joules(*window) + second.joules(*window)
        self.assert_truth_inside(energy(summary, "supplies.wall.power"), truth_j)
        self.assertAlmostEqual(summary["headline"]["gross_j"], truth_j, delta=0.05 * truth_j)
        channels = {c["channel"]: c for c in self.table("x.prony", "channels")}
        for name in ("plug.left.power", "plug.right.power", "plug.left.energy"):
            self.assertEqual(channels[name]["part_of"], "supplies.wall.power")
        self.assertEqual([row for row in summary["unavailable"] if row["name"] in ("meters", "supplies")], [])


class Refusals(MeterCase):
    def refused(self, *words, code=125):
        done = self.prony("run", "--out", self.path("x.prony"), *words, "--", "true")
        self.assertEqual(done.returncode, code, done.err)
        self.assertFalse(os.path.exists(self.path("x.prony")))
        return done.err

    def test_what_is_no_meter_is_refused_before_anything_runs(self):
        self.assertIn("no kind of meter", self.refused("--meter", "sheley://192.0.2.1"))
        self.assertIn("names no host", self.refused("--meter", "shelly://"))
        self.assertIn("two meters", self.refused("--meter", "shelly://a", "--meter", "tasmota://b"))
        self.assertIn("Did you mean 'channel'", self.refused("--meter", "shelly://a#chanel=1"))

    def test_a_password_on_the_command_line_is_refused_and_not_repeated(self):
        said = self.refused("--meter", "http://admin:hunter2@192.0.2.1")
        self.assertIn("chmod 600", said)
        self.assertNotIn("hunter2", said)

    def test_a_file_of_passwords_that_others_may_read_is_refused(self):
        said = self.refused("--meter", "shelly://127.0.0.1:1#login=" + self.login_file("hunter2", 0o644))
        self.assertIn("chmod 600", said)

    def test_a_password_out_of_a_file_opens_the_plug_and_stands_in_no_file(self):
        for kind in ("shelly1", "tasmota"):
            plug = self.plug(kind, password="hunter2")
            said = self.prony("run", "--out", self.path("w.prony"), "--force", "--meter", plug.url, "--", "true").err
            self.assertIn("wants a password", said)
            self.assertIn("#login=FILE", said)
            summary = self.record(["sleep", "2"], "--meter", plug.url + "#login=" + self.login_file("hunter2"), "--force")
            self.assertIsNotNone(energy(summary, "plug.wall.power"))
            os.remove(self.path("login"))
            for name in os.listdir(self.folder):
                if os.path.isfile(self.path(name)):
                    with open(self.path(name), "rb") as file:
                        self.assertNotIn(b"hunter2", file.read(), name)
            self.assertNotIn("hunter2", self.summary_text)

    def test_a_wrong_password_is_named_without_it(self):
        plug = self.plug("shelly1", password="hunter2")
        said = self.prony("sensors", "--meter", plug.url + "#login=" + self.login_file("wrong1")).out
        self.assertIn("refused", said)
        self.assertNotIn("wrong1", said)


class Faults(MeterCase):
    """Each fault from the beginning, and in mid-run: the command's own result stands, and the Run is whole."""

    WORDS = {"hang": "no answer in time", "half": "broken off", "rubbish": "no JSON", "huge": "more than",
             "redirect": "sends elsewhere", "error": "answers 500", "close": "broken off", "drip": "no answer in time"}

    def test_a_plug_that_fails_from_the_beginning_is_told_and_the_run_goes_on_without_it(self):
        for fault, words in {**self.WORDS, "rubbish": "is no Shelly"}.items():
            with self.subTest(fault), FakePlug("shelly2") as plug:
                plug.fault = fault
                done = self.prony("run", "--force", "--out", self.path("x.prony"), "--meter", plug.url, "--", "sh", "-c",
                                  "exit 7")
                self.assertEqual(done.returncode, 7, done.err)
                self.assertIn(words, done.err)
                self.assertIn("goes on without it", done.err)

    def test_a_plug_that_fails_in_mid_run_is_a_gap_with_a_reason_and_holds_nobody(self):
        for fault in ("hang", "rubbish", "huge"):
            with self.subTest(fault), FakePlug("shelly2") as plug:
                process = subprocess.Popen(
                    [harness.program("prony"), "run", "--force", "--out", self.path("x.prony"), "--json",
                     self.path("x.json"), "--meter", plug.url, "--", "sleep", "5"], cwd=self.folder,
                    env=self.environment(), stderr=subprocess.PIPE)
                time.sleep(2.5)
                plug.fault = fault
                _, said = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 0, said)
                events = self.rows("SELECT kind, subject FROM event")
                self.assertIn(("sensor-lost", "plug.wall.power"), events)
                # The command took 5 s, and the plug's 3 s of silence are not in any fast tick.
                (longest_s,), = self.rows("SELECT value FROM total WHERE subject = 'sampler.fast' AND name = "
                                          "'worst_lateness_s'")
                self.assertLess(longest_s, 2.5)
                self.assert_charges_close("x.prony")

    def test_a_kasa_plug_that_fails_is_told(self):
        for fault, words in (("hang", "no answer in time"), ("half", "broken off"), ("huge", "more than"),
                             ("rubbish", "no JSON")):
            with self.subTest(fault), FakePlug("kasa") as plug:
                plug.fault = fault
                said = self.prony("sensors", "--meter", plug.url).out
                self.assertIn(words, " ".join(said.split()))

    def test_nobody_there_is_told(self):
        with FakePlug("shelly2") as plug:
            port = plug.port
        said = self.prony("run", "--out", self.path("x.prony"), "--meter", f"shelly://127.0.0.1:{port}", "--", "true")
        self.assertEqual(said.returncode, 0)
        self.assertIn("no connection", said.err)


class Redfish(MeterCase):
    def bmc(self, **options):
        bmc = FakeRedfish(**options)
        self.addCleanup(bmc.close)
        return bmc

    def root_login(self, password="hunter2"):
        with open(self.path("bmc.netrc"), "w", encoding="utf-8") as file:
            file.write(f"machine 127.0.0.1 login root password {password}\n")
        os.chmod(self.path("bmc.netrc"), 0o600)
        return self.path("bmc.netrc")

    def certificate(self, name="127.0.0.1"):
        made = make_certificate(self.folder, name)
        if made is None:
            self.skipTest("openssl cannot make a certificate here")
        return made

    def test_every_form_tells_the_watts_of_the_server_over_a_checked_certificate(self):
        tls = self.certificate()
        for form in ("metrics", "power", "sensors"):
            with self.subTest(form), FakeRedfish(password="hunter2", tls=tls, form=form, power=Power(300, 0)) as bmc:
                meter = f"bmc={bmc.url}#ca={tls[0]},login={self.root_login()}"
                summary = self.record(["sleep", "3"], "--meter", meter, "--force")
                row = energy(summary, "redfish.bmc.power")
                self.assertFalse(row["resolvable"])  # three seconds are too short for what may be ten seconds old
                watts = self.rows("SELECT raw * scale FROM sample JOIN channel ON channel_id = id WHERE name = "
                                  "'redfish.bmc.power' AND quality = 'ok'")
                self.assertGreaterEqual(len(watts), 2)
                self.assertEqual({round(w) for (w,) in watts}, {300})
                self.assertEqual((bmc.opened, bmc.closed, len(bmc.sessions)), (1, 1, 0))  # one session, and given back

    def test_a_session_that_expires_is_made_anew_and_a_bmc_without_sessions_is_asked_all_the_same(self):
        bmc = self.bmc(password="hunter2")
        process = subprocess.Popen([harness.program("prony"), "run", "--out", self.path("x.prony"), "--meter",
                                    f"{bmc.url}#login={self.root_login()}", "--", "sleep", "5"], cwd=self.folder,
                                   env=self.environment(), stderr=subprocess.DEVNULL)
        time.sleep(2.5)
        bmc.expire()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(bmc.opened, 2)
        self.assertEqual(self.rows("SELECT count(*) FROM event WHERE kind = 'sensor-lost'"), [(0,)])
        basic = self.bmc(password="hunter2", sessions=False)
        self.assertIn("ready", self.line_of(self.prony("sensors", "--meter", f"{basic.url}#login={self.root_login()}")))

    def line_of(self, done):
        return next(line for line in done.out.splitlines() if line.startswith(" redfish"))

    def test_a_certificate_that_nobody_signed_is_refused_with_what_to_do(self):
        tls = self.certificate()
        bmc = self.bmc(tls=tls)
        said = " ".join(self.prony("sensors", "--meter", bmc.url).out.split())
        self.assertIn("certificate does not hold", said)
        self.assertIn("#ca=FILE", said)
        self.assertIn("ready", self.line_of(self.prony("sensors", "--meter", bmc.url + "#insecure")))
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        wrong = self.bmc(tls=make_certificate(other, "bmc.example"))  # of another name
        said = " ".join(self.prony("sensors", "--meter", f"{wrong.url}#ca={other}/cert.pem").out.split())
        self.assertIn("certificate does not hold", said)

    def test_a_wrong_password_is_tried_once_and_not_told(self):
        bmc = self.bmc(password="hunter2")
        done = self.prony("run", "--out", self.path("x.prony"), "--meter", f"{bmc.url}#login={self.root_login('wrong1')}",
                          "--", "true")
        self.assertEqual(done.returncode, 0)
        self.assertIn("user or password is refused", done.err)
        self.assertNotIn("wrong1", done.err)
        self.assertEqual(bmc.opened, 0)
        self.assertIn("wants a user", self.prony("run", "--out", self.path("y.prony"), "--meter", bmc.url, "--", "true").err)

    def test_several_chassis_must_be_named(self):
        bmc = self.bmc(chassis=("left", "right"))
        self.assertIn("#chassis=left", self.prony("sensors", "--meter", bmc.url).out)
        self.assertIn("ready", self.line_of(self.prony("sensors", "--meter", bmc.url + "#chassis=right")))

    def test_faults_are_told_and_the_run_goes_on(self):
        for fault, words in (("half", "broken off"), ("rubbish", "no JSON"), ("huge", "more than"),
                             ("redirect", "sends elsewhere"), ("hang", "no answer in time")):
            with self.subTest(fault), FakeRedfish() as bmc:
                bmc.fault = fault
                done = self.prony("run", "--force", "--out", self.path("x.prony"), "--meter", bmc.url, "--", "sh", "-c",
                                  "exit 3")
                self.assertEqual(done.returncode, 3, done.err)
                self.assertIn(words, done.err)


class Lines(MeterCase):
    """A meter that prints lines. 50 a second of a power that is known."""

    PRINTER = ("import sys,time,math\nt0=time.monotonic()\n{before}\nwhile time.monotonic()-t0<{life}:\n"
               " t=time.monotonic()\n print({line},flush=True)\n time.sleep(0.02)\n{after}\n")
    POWER = Power(100, 20, 5)
    WATTS = "100+20*math.sin(2*math.pi*t/5)"

    def printer(self, line, life=60, before="", after=""):
        path = self.path("printer.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.PRINTER.format(line=line, life=life, before=before, after=after))
        return f"exec:{sys.executable} {path}"

    def measured(self, meter, command=("sleep", "4"), **options):
        summary = self.record(list(command), "--meter", meter, "--force", **options)
        return energy(summary, "line-meter.wall.power")

    def assert_power_is_right(self, row):
        truth_j = self.POWER.joules(*self.window_s())
        self.assert_truth_inside(row, truth_j)
        self.assertLess(abs(row["gross_j"] - truth_j), 0.05 * truth_j)

    def test_csv_json_products_factors_and_sums_tell_the_joules_that_there_were(self):
        watts = self.WATTS
        for line, options, before in (
                (f"'x,%.3f,y'%({watts})", "watts=2", ""),
                (f"'%.3f;%.3f'%(({watts})*400,({watts})*600)", "watts=left+right,separator=;,factor=0.001",
                 "print('log: begins');print('#left;right')"),
                (f"'%.4f %.4f'%(230,({watts})/230)", "volts=1,amps=2,separator=space", ""),
                ("'{\"meter\": {\"p\": %.3f}}'%(" + watts + ")", "watts=meter.p", "")):
            with self.subTest(options):
                self.assert_power_is_right(self.measured(self.printer(line, before=before) + "#" + options))

    def test_omegawatt_lines_with_a_log_before_the_header_and_frames_that_are_not_ok(self):
        before = ("print('wattmetre-read 1.2');print('tty opened');print('#timestamp,#frame_is_ok,#U1,#U2,'"
                  "'#current1,#current2,#activepow1,#activepow2')")
        line = (f"'%.9f,true,232.3,0.0,0.1,0.2,%.3f,%.3f'%(time.time(),({self.WATTS})*.25,({self.WATTS})*.75)"
                " if int(t*50)%10 else '%.9f,false,0,0,0,0,99999,99999'%time.time()")
        meter = self.printer(line, before=before) + "#map=omegawatt,watts=activepow1+activepow2"
        self.assert_power_is_right(self.measured(meter))

    def test_a_serial_port(self):
        ours, theirs = os.openpty()
        self.addCleanup(os.close, theirs)
        stop = threading.Event()

        def write():
            while not stop.is_set():
                try:
                    os.write(ours, b"P:%.3f\r\n" % self.POWER.watts(time.monotonic()).__float__())
                except OSError:
                    return
                time.sleep(0.02)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            row = self.measured(f"serial:{os.ttyname(theirs)}#baud=115200,watts=2,separator=:")
        finally:
            stop.set()
            thread.join()
            os.close(ours)
        self.assert_power_is_right(row)

    def test_a_file_that_grows_with_its_header_at_the_beginning(self):
        path = self.path("meter.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write("time,power_w\n" + "0,99999\n" * 1000)  # of before the Run
        writer = subprocess.Popen([sys.executable, "-c", "import sys,time,math\nf=open(sys.argv[1],'a')\nwhile 1:\n"
                                   " t=time.monotonic()\n f.write('%.3f,%.3f\\n'%(t," + self.WATTS + "))\n f.flush()\n"
                                   " time.sleep(0.02)", path])
        try:
            row = self.measured(f"file:{path}#watts=power_w")
        finally:
            writer.kill()
            writer.wait()
        self.assert_power_is_right(row)

    def test_a_program_that_dies_is_told_with_its_code_and_holds_nobody(self):
        done = self.prony("run", "--out", self.path("x.prony"), "--meter",
                          self.printer("'5,100'", life=3, after="sys.exit(9)") + "#watts=2", "--", "sh", "-c",
                          "sleep 6; exit 4")
        self.assertEqual(done.returncode, 4, done.err)
        (text,), = self.rows("SELECT text FROM event WHERE kind = 'sensor-lost'")
        self.assertIn("ended with code 9", text)

    def test_a_program_that_is_not_there_that_says_nothing_or_that_says_something_else(self):
        for meter, words in (("exec:no-such-program-here#watts=1", "ended with code 127"),
                             ("exec:sleep 60#watts=1", "wrote no line"),
                             ("exec:yes hello#watts=1", "no reading in its lines"),
                             ("serial:/dev/null#watts=1", "no serial port"),
                             ("file:/no/such/file#watts=1", "/no/such/file")):
            done = self.prony("run", "--force", "--out", self.path("x.prony"), "--meter", meter, "--", "sh", "-c", "exit 5")
            self.assertEqual(done.returncode, 5, done.err)
            self.assertIn(words, done.err)
        self.assertIn("which column", self.prony("run", "--meter", "exec:true", "--", "true").err)

    def test_a_program_that_floods_is_read_no_faster_than_it_is_of_use_and_ends_with_the_run(self):
        line = f"1,100,{os.path.basename(self.folder)}"  # nobody else's, whoever runs these tests beside
        row = self.measured(f"exec:yes {line}#watts=2", command=("sleep", "3"))
        self.assertAlmostEqual(row["mean_w"], 100, places=3)
        self.assertEqual(subprocess.run(["pgrep", "-f", f"^yes {line}$"], check=False, capture_output=True).stdout, b"")


class Attached(MeterCase):
    """A log of a meter whose clock is off, laid beside a Run afterwards. The machine is simulated: what it drew is known,
    and nobody else's load is in it."""

    LOSS_W, FACTOR = 8.0, 1.15  # of the supply between the plug and the machine

    def recorded(self, length_s):
        """A Run of the simulated laptop; gives when, and what its platform drew since the beginning, in joules."""
        self.summary = self.record(["sleep", str(length_s)], "--simulate", "laptop")
        return self.rows_of_psys()

    def rows_of_psys(self):
        key = "rapl.psys.energy_j"
        return [(r["begin_ns"] / 1e9, r[key]) for r in self.table("x.prony", "samples") if r.get(key) is not None]

    def write_log(self, curve, clock_s, repeat=False):
        """What a meter at the plug wrote, by a clock that is behind by clock_s; a log line first, half a line last."""
        (wall_minus_monotonic,), = self.rows("SELECT (wall_ns - monotonic_ns) / 1e9 FROM anchor LIMIT 1")
        step = 5  # 50 ms at 10 ms a tick
        with open(self.path("meter.csv"), "w", encoding="utf-8") as file:
            file.write("a log line\n#timestamp,#frame_is_ok,#activepow1\n")
            for (t0, j0), (t1, j1) in zip(curve[::step], curve[step::step]):
                watts = self.LOSS_W + self.FACTOR * (j1 - j0) / (t1 - t0)
                if repeat:
                    watts = 40 if int(t0 / 0.5) % 2 else 70
                file.write(f"{(t0 + t1) / 2 + wall_minus_monotonic - clock_s:.6f},true,{watts:.3f}\n")
            file.write(f"{t1 + wall_minus_monotonic - clock_s:.6f},tr")

    def test_a_log_is_laid_where_it_belongs_and_its_joules_are_those_of_the_window(self):
        curve = self.recorded(12)
        self.write_log(curve, clock_s=1.25)
        with open(self.path("x.prony"), "rb") as file:
            before = file.read()
        meter = f"file:{self.path('meter.csv')}#map=omegawatt"
        done = self.prony("attach", self.path("x.prony"), meter, "--within", "3s")
        self.assertEqual(done.returncode, 0, done.err)
        with open(self.path("x.prony"), "rb") as file:
            self.assertEqual(file.read(), before)  # the Run stays as it is
        self.assertIn("half a line at its end left out", done.out)
        run = "x+wall.prony"
        facts = dict(self.rows("SELECT key, value FROM fact WHERE key LIKE 'attached.%'", run))
        offset_s, doubt_s = float(facts["attached.wall.clock_offset_s"]), float(facts["attached.wall.clock_doubt_s"])
        self.assertLessEqual(abs(offset_s - 1.25), doubt_s)
        self.assertLess(doubt_s, 0.2)
        self.assertGreater(float(facts["attached.wall.correlation"]), 0.9)
        summary = json.loads(self.prony("show", self.path(run), "--json").out)
        row = energy(summary, "line-meter.wall.power")
        begin_s, end_s = self.window_s(run)
        truth_j = self.LOSS_W * (end_s - begin_s) + self.FACTOR * energy(self.summary, "rapl.psys.energy")["true_j"]
        self.assert_truth_inside(row, truth_j)
        self.assertLess(abs(row["gross_j"] - truth_j), 0.03 * truth_j)
        self.assertTrue(row["headline"])
        channels = {c["channel"]: c for c in self.table(run, "channels")}
        self.assertEqual(channels["rapl.psys.energy"]["part_of"], "line-meter.wall.power")
        self.assert_charges_close(run)
        self.assertIn("software against a meter", self.prony("show", self.path(run)).out)
        again = self.prony("attach", self.path("x.prony"), meter)
        self.assertEqual(again.returncode, 125)
        self.assertIn("is there already", again.err)

    def test_a_log_that_fits_nowhere_is_refused_unless_the_offset_is_named(self):
        self.write_log(self.recorded(6), clock_s=0, repeat=True)
        meter = f"file:{self.path('meter.csv')}#map=omegawatt"
        done = self.prony("attach", self.path("x.prony"), meter)
        self.assertEqual(done.returncode, 125, done.out)
        self.assertIn("no offset", done.err)
        self.assertFalse(os.path.exists(self.path("x+wall.prony")))
        named = self.prony("attach", self.path("x.prony"), meter, "--offset", "0s")
        self.assertEqual(named.returncode, 0, named.err)
        self.assertIn("as named", named.out)

    def test_what_cannot_be_attached_says_why(self):
        self.record(["true"])
        with open(self.path("empty.csv"), "w", encoding="utf-8") as file:
            file.write("nothing\n")
        for meter, words in (("shelly://192.0.2.1", "only a file"), ("file:/no/such#time=1,watts=2", "/no/such"),
                             (f"file:{self.path('empty.csv')}#time=1,watts=2", "no two readings"),
                             (f"file:{self.path('empty.csv')}#watts=2", "which column is the time")):
            done = self.prony("attach", self.path("x.prony"), meter)
            self.assertEqual(done.returncode, 125)
            self.assertIn(words, done.err)


if __name__ == "__main__":
    harness.main()
