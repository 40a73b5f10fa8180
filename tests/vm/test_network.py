# SPDX-License-Identifier: Apache-2.0
"""Ports on the kernel's data path, as Neutron's agent of the host wants them: plugged into the switch itself, or by a bridge
with iptables (hybrid).  Guests get their addresses and metadata, reach each other, and leave nothing behind."""
import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import vm

AGENT = """[DEFAULT]
host = vm1
[ovs]
datapath_type = system
ovsdb_connection = tcp:{vm}:6640
of_listen_address = {LAB_HOST_ADDR}
of_listen_port = 6634
resource_provider_bandwidths =
resource_provider_packet_processing_without_direction =
[securitygroup]
firewall_driver = {driver}
"""
DEVICES = r"^\d+: ((?:tap|qbr|qvo|qvb)[0-9a-f-]{11})\b"


class Network(vm.VmTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.key = f"{folder.name}/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cls.key], check=True)
        with open(f"{cls.key}.pub", encoding="ascii") as public:
            cls.keypair = cls.compute.create_keypair(name="vm-network", public_key=public.read())
        cls.addClassCleanup(cls.compute.delete_keypair, cls.keypair)
        cls.network = cls.cloud.network.find_network("provider")

    def start_agent(self, driver, is_hybrid):
        """Neutron's, for the time of the test."""
        etc, own = pathlib.Path(os.environ["LAB_DIR"]) / "etc/neutron", vm.SHARE / "neutron.ini"
        own.write_text(AGENT.format(driver=driver, vm=vm.run(". /vmrun/environment; echo -n $VM_ADDR"), **os.environ))
        with open(vm.SHARE / "neutron-agent.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-B", "neutron_agent.py", "--config-file", etc / "neutron.conf", "--config-file",
                 etc / "ovs_agent.ini", "--config-file", own], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        vm.wait(900, f"Neutron's agent with {driver}", lambda: any(
            agent.is_alive and agent.configuration["ovs_hybrid_plug"] == is_hybrid
            for agent in self.cloud.network.agents(host=vm.HOST, binary="neutron-openvswitch-agent")))

    def guests(self):
        flavor = self.flavor({"hw:cpu_policy": "dedicated"}, ram=256, disk=1, vcpus=1)
        servers = [self.request(flavor, image="guest", networks=[{"uuid": self.network.id}], key_name=self.keypair.name)
                   for _ in range(2)]
        return [self.settled(server, "ACTIVE") for server in servers]

    def ports(self, servers):
        return {port.id[:11] for server in servers for port in self.cloud.network.ports(device_id=server.id)}

    @staticmethod
    def devices():
        """Of ports, in the VM's kernel."""
        return set(re.findall(DEVICES, vm.run("ip -o link"), re.M))

    @staticmethod
    def switch():
        """Ports of the integration bridge in the kernel's data path."""
        return set(re.findall(r"(?:tap|qvo)[0-9a-f-]{11}", vm.run("ovs-dpctl show")))

    def ssh(self, address, command):
        argv = ["ssh", "-i", self.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
                "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", f"root@{address}", command]
        return vm.wait(600, f"{command} in {address}", lambda: subprocess.run(argv).returncode == 0)

    def live(self, prefixes, switch_prefix):
        servers = self.guests()
        ports = self.ports(servers)
        self.assertEqual(self.devices(), {prefix + port for prefix in prefixes for port in ports})
        self.assertEqual(self.switch(), {switch_prefix + port for port in ports})
        addresses = [server.addresses["provider"][0]["addr"] for server in servers]
        for server, address in zip(servers, addresses):
            self.wait_console(server, "KILONOVA GUEST UP")
            self.assertIn(address, self.wait_console(server, "DATASOURCE metadata-service"))
        for here, there in itertools.permutations(addresses, 2):
            self.ssh(here, f"ping -c 1 -W 20 {there}")
        return servers

    def assert_gone(self, servers):
        for server in servers:
            self.delete(server)
        vm.wait(60, "nothing plugged", lambda: not self.devices() | self.switch())
        self.assertNotIn("iface-id", vm.run("ovs-vsctl --columns=external_ids list Interface"))

    def test_plugged_into_the_switch(self):
        self.start_agent("openvswitch", False)
        self.assert_gone(self.live(["tap"], "tap"))

    def test_plugged_by_a_bridge_with_iptables(self):
        self.start_agent("iptables_hybrid", True)
        servers = self.live(["tap", "qbr", "qvb", "qvo"], "qvo")
        rules = vm.run("iptables-save")
        for port in self.ports(servers):
            self.assertIn(f"--physdev-in tap{port}", rules)
        self.assert_gone(servers)
