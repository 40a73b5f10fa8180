# SPDX-License-Identifier: Apache-2.0
"""The agent itself: killed, restarted, cut off, told wrong things."""
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from lab import AGENT_LOG, HOST, LAB, LabTest, agent, agent_pid, run, started_at, wait


class Agent(LabTest):
    def setUp(self):
        super().setUp()
        self.log_start = AGENT_LOG.stat().st_size

    def log_text(self):
        """What the agent has logged since the test began."""
        with AGENT_LOG.open(errors="replace") as file:
            file.seek(self.log_start)
            return file.read()

    def reload(self, change):
        change()
        seen = self.log_text().count("Reading the configuration again")
        os.kill(agent_pid(), signal.SIGHUP)
        wait(5, "the reload", lambda: self.log_text().count("Reading the configuration again") > seen)

    def restart(self):
        agent("start", HOST)
        wait(30, "service up", self.is_service_up)

    def test_killed_and_restarted_with_guests(self):
        server = self.create("survivor", networks=["provider"])
        domain = self.domain_id(server)
        os.kill(agent_pid(), signal.SIGKILL)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        self.assertEqual(self.domain_state(server), "running")
        self.restart()
        self.assertEqual(self.domain_id(server), domain)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.delete(server)
        self.assert_nothing_left()

    def test_killed_while_building(self):
        server = self.request("half", image="guest", flavor="guest", networks=["provider"])
        wait(60, "the build under way", lambda: self.get(server).task_state in ("networking", "spawning",
                                                                              "block_device_mapping"))
        os.kill(agent_pid(), signal.SIGKILL)
        self.restart()
        def settled():  # a build that is begun anew has no task for a moment
            now = self.get(server)
            return now.status in ("ERROR", "ACTIVE") and now.task_state is None

        wait(180, "the server settled", settled)
        self.delete(server)
        self.assert_nothing_left()

    def test_term_ends_it_quickly(self):
        pid = agent_pid()
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        self.assertLess(time.monotonic() - began, 5)
        self.restart()

    def seconds_to_up(self):
        """From the process's first moment (its fork, before the exec) to the service list's word."""
        def record():
            return next(s for s in self.compute.services() if s.binary == "nova-compute" and s.host == HOST)
        os.kill(agent_pid(), signal.SIGTERM)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        before = record().updated_at
        with subprocess.Popen([LAB / "agent", "kilonovad", "start", HOST], stdout=subprocess.DEVNULL):
            wait(60, "a new report", lambda: (now := record()).state == "up" and now.updated_at != before)
            seen = time.clock_gettime(time.CLOCK_BOOTTIME)
        return seen - started_at(agent_pid())

    def test_service_is_up_within_two_seconds(self):
        # Of three starts: the API, whose answers count too, may have other things to do.
        times = []
        while len(times) < 3 and min(times, default=9) >= 2:
            times.append(self.seconds_to_up())
        self.assertLess(min(times), 2)

    def test_hup_rereads_what_may_change(self):
        conf = pathlib.Path(os.environ["LAB_DIR"]) / f"etc/nova-{HOST}.conf"
        before = conf.read_text()
        self.addCleanup(self.reload, lambda: conf.write_text(before))
        self.reload(lambda: conf.write_text(before + "\n[DEFAULT]\ndebug = false\n"))
        time.sleep(1)
        quiet = self.log_text()
        self.reload(lambda: conf.write_text(before + "\n[DEFAULT]\ndebug = true\nreport_interval = 17\n"))
        self.assertNotIn(" DEBUG ", quiet.split("Reading the configuration again")[-1])
        wait(5, "a warning", lambda: "Ignoring change to immutable option DEFAULT.report_interval" in self.log_text())
        self.delete(self.create("debugged", networks="none"))
        self.assertIn(" DEBUG ", self.log_text().split("Reading the configuration again")[-1])

    def test_hup_with_an_error_changes_nothing(self):
        conf = pathlib.Path(os.environ["LAB_DIR"]) / f"etc/nova-{HOST}.conf"
        before = conf.read_text()
        self.addCleanup(conf.write_text, before)
        conf.write_text(before + "\n[libvirt]\nvirt_type = xen\n")
        os.kill(agent_pid(), signal.SIGHUP)
        wait(5, "the error", lambda: "The configuration stays as it was" in self.log_text())
        self.assertIn(f"{conf}:{len(before.splitlines()) + 3}: [libvirt] virt_type = xen: allowed: kvm|",
                      self.log_text())
        self.assertTrue(self.is_service_up())

    def test_usr2_reports_the_state(self):
        os.kill(agent_pid(), signal.SIGUSR2)
        wait(5, "the report", lambda: "State: Open vSwitch's database is connected" in self.log_text())
        self.assertIn("State: lanes: ", self.log_text())
        self.assertIn("requests are consumed", self.log_text())

    def test_int_ends_it_at_once(self):
        began = time.monotonic()
        os.kill(agent_pid(), signal.SIGINT)
        wait(5, "the agent gone", lambda: agent_pid() is None)
        self.assertLess(time.monotonic() - began, 2)
        self.restart()

    def test_what_the_host_lacks_ends_it(self):
        self.addCleanup(self.restart)
        os.kill(agent_pid(), signal.SIGTERM)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        agent("start", HOST, "libvirt.volume_enforce_multipath=true", check=False)
        wait(10, "the refusal", lambda: "Unhandled error: InvalidConfiguration: The 'volume_use_multipath' option should "
             "be 'True' when the 'volume_enforce_multipath' option is 'True'." in self.log_text())
        wait(10, "the agent gone", lambda: agent_pid() is None)

    def test_check_config_says_what_is_wrong(self):
        program = os.environ.get("KILONOVAD", pathlib.Path(__file__).resolve().parents[2] / "kilonovad")
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[DEFAULT]\n[vnc]\nnovncproxy_port = 70000\n")
            file.flush()
            result = run(program, "--config-file", file.name, "--check-config", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"kilonovad: {file.name}:3: [vnc] novncproxy_port = 70000: "
                                        "allowed: an integer from 0 to 65535\n")
        conf = pathlib.Path(os.environ["LAB_DIR"]) / f"etc/nova-{HOST}.conf"
        result = run(program, "--config-file", conf, "--check-config")
        self.assertEqual(result.stdout, "The configuration is valid.\n")
