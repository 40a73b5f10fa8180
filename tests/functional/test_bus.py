# SPDX-License-Identifier: Apache-2.0
"""What the agent needs is not there, or refuses it: it says so, goes on, and recovers by itself."""
import datetime
import os
import signal
import threading
import time

from lab import AGENT_LOG, HOST, LAB, LabTest, agent, agent_pid, run, wait

URL = os.environ["LAB_TRANSPORT_URL"]


def rabbitmqctl(*argv, check=True):
    return run(LAB / "rabbitmqctl", *argv, check=check).stdout


class LogTail:
    """The agent's log lines from now on."""

    def __init__(self):
        self.offset = AGENT_LOG.stat().st_size if AGENT_LOG.exists() else 0

    def text(self):
        with AGENT_LOG.open(errors="replace") as file:
            file.seek(self.offset)
            return file.read()

    def wait(self, *words, seconds=15):
        return wait(seconds, f"{words} in the log", lambda: all(w in self.text() for w in words))


class Bus(LabTest):
    def setUp(self):
        super().setUp()
        self.log = LogTail()

    def tearDown(self):
        agent("start", HOST)
        wait(60, "service up", self.is_service_up)
        super().tearDown()

    def restart(self, *settings):
        agent("stop", HOST)
        self.log = LogTail()
        agent("start", HOST, *settings)

    def assert_manages_servers(self):
        """The service's own record may be fresh before the queues are heard: a server tells."""
        wait(60, "service up", self.is_service_up)
        self.delete(self.create("after", networks="none", within=120))
        self.assert_nothing_left()

    def test_wrong_password(self):
        self.restart(f"DEFAULT.transport_url={URL.replace('openstack:lab', 'late:secret-of-late')}")
        self.log.wait(URL.split("@")[1].split(":")[0], "ACCESS_REFUSED")
        self.assertNotIn("secret-of-late", self.log.text())
        self.addCleanup(rabbitmqctl, "delete_user", "late")
        rabbitmqctl("add_user", "late", "secret-of-late")
        rabbitmqctl("set_permissions", "-p", "/", "late", ".*", ".*", ".*")
        self.log.wait("Compute service of host", seconds=40)
        self.assert_manages_servers()

    def test_wrong_vhost(self):
        self.restart(f"DEFAULT.transport_url={URL}nowhere")
        self.log.wait("nowhere", "not found")
        self.assertIsNotNone(agent_pid())
        self.addCleanup(rabbitmqctl, "delete_vhost", "nowhere")
        rabbitmqctl("add_vhost", "nowhere")
        rabbitmqctl("set_permissions", "-p", "nowhere", "openstack", ".*", ".*", ".*")
        wait(40, "its queue", lambda: f"compute.{HOST}" in rabbitmqctl("list_queues", "-p", "nowhere", "name"))

    def test_broker_is_down_at_start(self):
        rabbitmqctl("stop_app")
        try:
            self.restart()
            self.log.wait("unreachable")
            self.assertIsNotNone(agent_pid())
        finally:
            rabbitmqctl("start_app")
        self.log.wait("Compute service of host", seconds=60)
        self.assert_manages_servers()

    def test_broker_restarts_under_load(self):
        server = self.create("busy")
        stop = threading.Event()

        def load():
            while not stop.is_set():
                try:
                    self.compute.get_server_console_output(server.id)
                except Exception:  # the API itself has no broker for a while
                    time.sleep(0.5)
        threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        pid = agent_pid()
        time.sleep(2)
        rabbitmqctl("stop_app")
        time.sleep(3)
        rabbitmqctl("start_app")
        wait(20, "its queue", lambda: f"compute.{HOST}\n" in rabbitmqctl("list_queues", "name"))
        stop.set()
        wait(90, "an answer", lambda: self.try_console(server))
        self.assertEqual(agent_pid(), pid)
        # The conductor's connection takes its own time, and what is sent to it before is lost with the queue.
        began = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        wait(120, "a heartbeat through the conductor",
             lambda: any(s.host == HOST and s.updated_at > began for s in self.compute.services(binary="nova-compute")))
        self.assert_manages_servers_besides(server)

    def try_console(self, server):
        try:
            return "KILONOVA" in self.console(server)
        except Exception:
            return False

    def assert_manages_servers_besides(self, server):
        self.delete(server)
        self.assert_manages_servers()

    def test_lost_queues_are_declared_anew(self):
        rabbitmqctl("delete_queue", f"compute.{HOST}")
        wait(20, "its queue", lambda: f"compute.{HOST}\n" in rabbitmqctl("list_queues", "name"))
        self.assert_manages_servers()

    def test_keystone_is_down_at_start(self):
        server = self.create("alone")
        wrong = "http://127.0.0.1:9/v3"
        self.restart(*(f"{group}.auth_url={wrong}" for group in ("placement", "neutron", "glance", "service_user")))
        self.log.wait("127.0.0.1:9")
        self.assertIsNotNone(agent_pid())
        wait(20, "service up", self.is_service_up)
        self.compute.stop_server(server.id)  # what is here is managed
        self.wait_status(server, "SHUTOFF")

    def test_keystone_stops_for_a_while(self):
        pid = int((run("bash", "-c", f". {LAB}/lib.sh; pid_of keystone").stdout).strip())
        os.kill(pid, signal.SIGSTOP)
        try:
            self.restart()
            time.sleep(1)
            self.assertIsNotNone(agent_pid())
        finally:
            os.kill(pid, signal.SIGCONT)
        self.log.wait("Compute service of host", seconds=60)
        self.assert_manages_servers()

    def test_libvirtd_restarts(self):
        server = self.create("kept")
        run(LAB / "libvirt", HOST, "restart")
        wait(30, "an answer", lambda: self.try_console(server))
        self.assertEqual(self.domain_state(server), "running")
        self.delete(server)
        self.assert_manages_servers()

    def stop_switch_database(self):
        pid = int(run("bash", "-c", f". {LAB}/lib.sh; pid_of ovsdb-server").stdout)
        os.kill(pid, signal.SIGTERM)
        self.log.wait("connection lost, reconnecting")
        self.addCleanup(run, LAB / "up")

    def test_switch_database_restarts(self):
        """A build under way waits for it; the connection is made anew."""
        self.stop_switch_database()
        server = self.request("patient", networks=["provider"])
        time.sleep(3)
        self.assertNotEqual(self.get(server).status, "ERROR")
        run(LAB / "up")
        self.wait_status(server, "ACTIVE", 90)
        self.delete(server)
        self.assert_manages_servers()

    def test_switch_database_stays_away(self):
        """The server ends in ERROR and leaves nothing; others without ports boot all the while."""
        self.restart("os_vif_ovs.ovs_vsctl_timeout=3")
        wait(30, "service up", self.is_service_up)
        self.stop_switch_database()
        server = self.request("unplugged", networks=["provider"])
        self.delete(self.create("portless", networks="none"))
        self.wait_status(server, "ERROR", 60)
        run(LAB / "up")
        self.delete(server)
        self.assert_manages_servers()
