# SPDX-License-Identifier: Apache-2.0
"""The ways to a guest's screen and serial line."""
import re
import socket

from lab import AGENT_LOG, HOST, LabTest, agent, agent_pid, virsh, wait

SERIAL = ("serial_console.enabled=true", "serial_console.port_range=13000:13010")
SPICE = ("vnc.enabled=false", "spice.enabled=true")


class Consoles(LabTest):
    def configure(self, *options):
        self.start_agent(*options)
        self.addCleanup(self.start_agent)

    def start_agent(self, *options):
        agent("start", HOST, *options)
        line = re.compile(rf" {agent_pid()} INFO .* is up, node ")
        wait(90, "the agent ready", lambda: any(map(line.search, AGENT_LOG.read_text(errors="replace").splitlines()[-200:])))

    def test_vnc(self):
        server = self.create("vnc")
        answer = self.rpc("get_vnc_console", server, console_type="novnc")["result"]
        port = re.search(r"type='vnc' port='(\d+)'", virsh("dumpxml", server.id)).group(1)
        self.assertEqual(answer["port"], port)
        self.assertEqual(answer["access_url"].split("?")[1], "path=%3Ftoken%3D" + answer["token"])
        self.assertEqual(self.rpc("validate_console_port", server, port=port, console_type="novnc")["result"], True)
        self.assertEqual(self.rpc("validate_console_port", server, port="1", console_type="novnc")["result"], False)
        self.assertEqual(self.rpc("get_vnc_console", server, console_type="xvpvnc")["error"],
                         ["ConsoleTypeInvalid", "Invalid console type xvpvnc"])

    def test_what_is_switched_off(self):
        server = self.create("off")
        for kind, console_type in (("spice", "spice-html5"), ("serial", "serial"), ("mks", "webmks")):
            self.assertEqual(self.rpc(f"get_{kind}_console", server, console_type=console_type)["error"],
                             ["ConsoleTypeUnavailable", f"Unavailable console type {console_type}."])
        self.assertEqual(self.rpc("validate_console_port", server, port="1", console_type="serial")["error"],
                         ["ConsoleTypeUnavailable", "Unavailable console type serial."])

    def test_spice(self):
        self.configure(*SPICE)
        server = self.create("spice")
        answer = self.rpc("get_spice_console", server, console_type="spice-html5")["result"]
        port = re.search(r"type='spice' port='(\d+)'", virsh("dumpxml", server.id)).group(1)
        self.assertEqual((answer["port"], answer["tlsPort"]), (port, None))
        self.assertTrue(answer["access_url"].endswith("?token=" + answer["token"]))
        self.assertEqual(self.rpc("validate_console_port", server, port=port, console_type="spice-direct")["result"], True)
        self.assertEqual(self.rpc("get_spice_console", server, console_type="spice")["error"],
                         ["ConsoleTypeInvalid", "Invalid console type spice"])

    def test_serial_console_over_tcp(self):
        self.configure(*SERIAL)
        first, second = self.create("serial-1"), self.create("serial-2")
        ports = []
        for server in (first, second):
            answer = self.rpc("get_serial_console", server, console_type="serial")["result"]
            self.assertTrue(13000 <= answer["port"] < 13010, answer)
            self.assertEqual(self.rpc("validate_console_port", server, port=str(answer["port"]),
                                      console_type="serial")["result"], True)
            ports.append(answer["port"])
        self.assertNotEqual(*ports)
        with socket.create_connection((answer["host"], ports[1]), 5):
            pass  # the guest's side listens
        self.wait_console(first, "KILONOVA HLT UP", 30)
        self.compute.reboot_server(first.id, "HARD")
        self.wait_status(first, "ACTIVE")
        again = self.rpc("get_serial_console", first, console_type="serial")["result"]["port"]
        self.assertNotEqual(again, ports[1])
        self.delete(first)
        self.delete(second)
        self.assert_nothing_left()

    def test_serial_ports_used_up(self):
        self.configure("serial_console.enabled=true", "serial_console.port_range=13000:13001")
        self.create("only")
        refused = self.wait_status(self.request("late"), "ERROR")
        self.assertIn("Exceeded maximum number of retries", str(refused.fault))
