# SPDX-License-Identifier: Apache-2.0
"""Ports that are attached to servers and detached from them."""
import concurrent.futures
import os
import time

from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from lab import HOST, LabTest, agent, ctl, is_late, patiently, sql, virsh, wait

CYCLES = int(os.environ.get("KILONOVA_ATTACH_CYCLES", 12))  # of attach and detach, over all servers


class Interfaces(LabTest):
    def attach(self, server, **what):
        return self.compute.create_server_interface(server.id, **what)

    def detach(self, server, port_id):
        self.compute.delete_server_interface(port_id, server=server.id)

    def ports(self, server):
        return {i.port_id for i in self.compute.server_interfaces(server.id)}

    def in_guest(self, server, inactive=False):
        """The MAC addresses of the guest's interfaces."""
        lines = virsh("domiflist", server.id, *(["--inactive"] if inactive else [])).splitlines()
        return {words[4] for words in map(str.split, lines) if words}

    def macs(self, server):
        return {i.mac_addr for i in self.compute.server_interfaces(server.id)}

    def wait_action(self, server, action, event, result="Success", seconds=60):
        wait(seconds, f"{action}: {result}", lambda: self.actions(server).get(action, {}).get(event) == result)

    def wait_detached(self, server, port_id):
        wait(120, "the port detached", lambda: port_id not in self.ports(server))
        self.wait_action(server, "detach_interface", "compute_detach_interface")

    def booted(self, name):
        server = self.create(name, image="guest", flavor="guest", networks=["provider"])
        wait(180, "the guest booted", lambda: "KILONOVA GUEST" in self.compute.get_server_console_output(server.id)["output"])
        return server

    def test_of_a_running_guest(self):
        server = self.booted("hot")
        first = self.ports(server)
        added = self.attach(server, net_id=self.networks["tenant"].id, tag="second")
        self.assertEqual(self.ports(server), first | {added.port_id})
        self.assertEqual(self.in_guest(server), self.macs(server))
        self.assertEqual(self.in_guest(server, inactive=True), self.macs(server))
        self.assertIn(f'<nova:port uuid="{added.port_id}"', virsh("dumpxml", server.id))
        self.wait_action(server, "attach_interface", "compute_attach_interface")
        port = self.cloud.network.get_port(added.port_id)
        self.assertEqual((port.device_id, port.binding_host_id), (server.id, HOST))
        wait(60, "the port up", lambda: self.cloud.network.get_port(added.port_id).status == "ACTIVE")
        tagged = sql(f"SELECT device_metadata FROM nova.instance_extra WHERE instance_uuid = '{server.id}'")
        self.assertIn('"second"', tagged)
        self.assertIn(port.mac_address, tagged)
        self.detach(server, added.port_id)
        self.wait_detached(server, added.port_id)
        self.assertEqual(len(self.in_guest(server)), 1)
        self.assertEqual(len(self.in_guest(server, inactive=True)), 1)
        self.assertIsNone(self.cloud.network.find_port(added.port_id))
        self.delete(server)
        self.assert_nothing_left()

    def test_of_a_stopped_server(self):
        server = self.create("cold")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        added = self.attach(server, net_id=self.networks["tenant"].id)
        self.assertEqual(self.in_guest(server, inactive=True), {added.mac_addr})
        self.compute.start_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.in_guest(server), {added.mac_addr})
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.detach(server, added.port_id)
        self.wait_detached(server, added.port_id)
        self.assertEqual(self.in_guest(server, inactive=True), set())
        self.delete(server)
        self.assert_nothing_left()

    def test_given_port_stays_when_it_is_detached(self):
        server = self.create("given")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        port = self.cloud.network.create_port(network_id=self.networks["tenant"].id)
        self.addCleanup(self.cloud.network.delete_port, port.id)
        self.attach(server, port_id=port.id)
        self.detach(server, port.id)
        self.wait_detached(server, port.id)
        port = self.cloud.network.get_port(port.id)
        self.assertEqual((port.device_id, port.binding_host_id or ""), ("", ""))

    def test_port_of_somebody_else(self):
        other, server = self.create("other", networks=["provider"]), self.create("mine")
        with self.assertRaisesRegex(Exception, "is still in use"):
            self.attach(server, port_id=next(iter(self.ports(other))))
        self.wait_action(server, "attach_interface", "compute_attach_interface", "Error")
        self.assertEqual(self.ports(server), set())

    def fixed_ips(self, server):
        return {ip["ip_address"] for i in self.compute.server_interfaces(server.id) for ip in i.fixed_ips}

    def cached_ips(self, server):
        """What Nova's cache says."""
        return {a["addr"] for addresses in self.get(server).addresses.values() for a in addresses}

    def act(self, server, **action):
        """Before the microversion that did away with it."""
        answer = self.compute.post(f"/servers/{server.id}/action", json=action, microversion="2.43")
        self.assertEqual(answer.status_code, 202, answer.text)

    def test_more_and_fewer_addresses(self):
        server = self.create("addresses", networks=["tenant"])
        first = self.fixed_ips(server)
        self.act(server, addFixedIp={"networkId": self.networks["tenant"].id})
        wait(60, "two addresses", lambda: len(self.cached_ips(server)) == 2)
        self.assertEqual(self.cached_ips(server), self.fixed_ips(server))
        second, = self.fixed_ips(server) - first
        self.act(server, removeFixedIp={"address": second})
        wait(60, "one address", lambda: self.cached_ips(server) == first)
        self.assertEqual(self.fixed_ips(server), first)

    def test_guest_that_does_not_let_go(self):
        self.addCleanup(agent, "start", HOST)
        agent("start", HOST, "libvirt.device_detach_timeout=1", "libvirt.device_detach_attempts=2")
        wait(60, "service up", self.is_service_up)
        server = self.booted("stubborn")
        port, = self.ports(server)
        self.compute.pause_server(server.id)
        self.wait_status(server, "PAUSED")
        self.detach(server, port)
        self.wait_action(server, "detach_interface", "compute_detach_interface", "Error")
        self.assertEqual(self.ports(server), {port})
        self.compute.unpause_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.compute.reboot_server(server.id, "HARD")  # which makes the guest anew, with all its ports
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.in_guest(server), self.macs(server))

    def is_idle(self, server):
        """Whether the agent has nothing to do for the server any more."""
        return server.id not in {job["instance"] for job in ctl("status")["jobs"]}

    def attach_patiently(self, server):
        """The ports that the server has then. Whoever gave up waiting for the answer sees only afterwards what became of it."""
        while True:
            try:
                return {self.attach(server, net_id=self.networks["tenant"].id).port_id}
            except (SDKException, ClientException) as error:
                if not is_late(error):
                    raise
                print(f"# attached again if need be: {error}", flush=True)
            wait(600, "the agent idle", lambda: self.is_idle(server), every=1)
            ports = patiently(self.ports, server)
            if ports:
                return ports

    def detach_patiently(self, server, port):
        patiently(self.detach, server, port)
        wait(600, "the port deleted", lambda: self.is_idle(server) and not patiently(self.cloud.network.find_port, port), every=1)

    def test_many_at_once(self):
        servers = [self.create(f"many-{i}") for i in range(10 if CYCLES > 100 else 4)]
        for server in servers:
            self.compute.stop_server(server.id)
        for server in servers:
            self.wait_status(server, "SHUTOFF")
        before = set(self.port_ids())

        def cycle(server):
            for _ in range(CYCLES // len(servers)):
                for port in self.attach_patiently(server):
                    self.detach_patiently(server, port)

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(cycle, servers))
        print(f"# {CYCLES // len(servers) * len(servers)} cycles in {time.monotonic() - began:.1f} s")
        for server in servers:
            self.assertEqual(self.in_guest(server, inactive=True), set())
        self.assertEqual(set(self.port_ids()), before)
        for server in servers:
            self.delete(server)
        self.assert_nothing_left()

    def port_ids(self):
        return [port.id for port in self.cloud.network.ports()]
