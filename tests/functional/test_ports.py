# SPDX-License-Identifier: Apache-2.0
"""Kinds of ports: with bandwidth of their own, trunks, IPv6, no address, names."""
import json
import os

from lab import HOST, LabTest, run, wait

EGRESS = "NET_BW_EGR_KILOBIT_PER_SEC"
PACKETS = "NET_PACKET_RATE_KILOPACKET_PER_SEC"
TOO_MUCH = 20000000  # kilobit per second; more than br-phys has (tests/lab/conf.py)


def vsctl(*argv):
    return run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", *argv).stdout


class Ports(LabTest):
    @property
    def network(self):
        return self.cloud.network

    def port(self, network, **what):
        port = self.network.create_port(network_id=self.networks[network].id, **what)
        self.addCleanup(self.network.delete_port, port.id)
        return port

    def nics(self, *names):
        return super().nics(*[{"port": name.id} if hasattr(name, "mac_address") else name for name in names])

    def assert_unbound(self, port):
        port = self.network.get_port(port.id)
        self.assertEqual((port.device_id, port.device_owner, port.binding_host_id or "", port.binding_profile or {}),
                         ("", "", "", {}))

    def wait_action(self, server, action, result):
        event = f"compute_{action}"
        wait(60, f"{action}: {result}", lambda: self.actions(server).get(action, {}).get(event) == result)


class Qos(Ports):
    """Ports whose policy promises bandwidth and packets: Placement holds them, the binding profile says where."""

    def policy(self, kilobit, kilopackets=10):
        policy = self.network.create_qos_policy(name="promised")
        self.addCleanup(self.network.delete_qos_policy, policy.id)
        self.network.create_qos_minimum_bandwidth_rule(policy, min_kbps=kilobit, direction="egress")
        self.network.create_qos_minimum_packet_rate_rule(policy, min_kpps=kilopackets, direction="any")
        return policy.id

    def held(self, server):
        """{resource class: amount} of what the ports hold."""
        answer = self.cloud.placement.get(f"/allocations/{server.id}").json()["allocations"]
        return {name: amount for provider in answer.values() for name, amount in provider["resources"].items()
                if name.startswith("NET_")}

    def providers(self, port):
        """Where the port's profile says that it has its resources from, by name."""
        profile = self.network.get_port(port.id).binding_profile
        return {self.cloud.placement.get_resource_provider(uuid).name for uuid in profile.get("allocation", {}).values()}

    def test_attached_and_detached(self):
        first, second = (self.port("provider", qos_policy_id=self.policy(kilobit)) for kilobit in (1000, 500))
        server = self.create("promised", networks=[first])
        self.assertEqual(self.held(server), {EGRESS: 1000, PACKETS: 10})
        self.compute.create_server_interface(server.id, port_id=second.id)
        self.assertEqual(self.held(server), {EGRESS: 1500, PACKETS: 20})
        names = {f"{HOST}:Open vSwitch agent", f"{HOST}:Open vSwitch agent:br-phys"}
        self.assertEqual(self.providers(first), names)
        self.assertEqual(self.providers(second), names)
        self.compute.stop_server(server.id)  # its guest would not let go of a port
        self.wait_status(server, "SHUTOFF")
        self.compute.delete_server_interface(second.id, server=server.id)
        self.wait_action(server, "detach_interface", "Success")
        self.assertEqual(self.held(server), {EGRESS: 1000, PACKETS: 10})
        self.assert_unbound(second)
        self.delete(server)
        self.assert_unbound(first)
        self.assert_nothing_left()

    def test_resize_that_is_reverted(self):
        port = self.port("provider", qos_policy_id=self.policy(1000))
        server = self.create("promised", networks=[port])
        providers = self.providers(port)
        self.compute.resize_server(server.id, self.flavors["guest"].id)
        self.wait_status(server, "VERIFY_RESIZE", 120)
        self.assertEqual(self.providers(port), providers)
        self.compute.revert_server_resize(server.id)
        self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(self.held(server), {EGRESS: 1000, PACKETS: 10})
        self.assertEqual(self.providers(port), providers)
        self.delete(server)
        self.assert_nothing_left()

    def test_more_than_there_is(self):
        server = self.create("modest")
        port = self.port("provider", qos_policy_id=self.policy(TOO_MUCH))
        with self.assertRaisesRegex(Exception, "Failed to allocate additional resources"):
            self.compute.create_server_interface(server.id, port_id=port.id)
        self.wait_action(server, "attach_interface", "Error")
        self.assertEqual(self.held(server), {})
        self.assert_unbound(port)

    def test_refused_after_the_resources_were_given(self):
        server = self.create("hasty")
        port = self.port("provider", qos_policy_id=self.policy(100), dns_name="somebody-else")
        with self.assertRaisesRegex(Exception, "PortNotUsableDNS"):
            self.compute.create_server_interface(server.id, port_id=port.id)
        self.assertEqual(self.held(server), {})


class Trunks(Ports):
    def test_server_on_a_trunk(self):
        parent, child = self.port("provider"), self.port("tenant")
        trunk = self.network.create_trunk(name="trunk", port_id=parent.id, sub_ports=[
            {"port_id": child.id, "segmentation_type": "vlan", "segmentation_id": 101}])
        self.addCleanup(self.network.delete_trunk, trunk)
        server = self.create("trunk", networks=[parent])
        wait(60, "the trunk up", lambda: self.network.get_trunk(trunk.id).status == "ACTIVE")
        bridge = self.network.get_port(parent.id).binding_vif_details["bridge_name"]
        self.assertEqual(vsctl("port-to-br", f"tap{parent.id[:11]}").strip(), bridge)
        self.assertEqual(vsctl("br-exists", bridge), "")
        wait(60, "the sub-port up", lambda: self.network.get_port(child.id).status == "ACTIVE")
        self.delete(server)
        wait(60, "the bridge gone", lambda: bridge not in vsctl("list-br").split())
        self.assert_unbound(parent)
        self.assert_nothing_left()


class Addresses(Ports):
    def addresses(self, server):
        """What Nova's cache says: {network: {(version, address)}}."""
        return {name: {(a["version"], a["addr"]) for a in found} for name, found in self.get(server).addresses.items()}

    def make_network(self, name, *subnets):
        network = self.network.create_network(name=name)
        self.addCleanup(self.network.delete_network, network.id)
        for subnet in subnets:
            self.network.create_subnet(network_id=network.id, enable_dhcp=subnet["ip_version"] == 4, **subnet)
        self.networks[name] = network
        self.addCleanup(self.networks.pop, name)
        return network

    def test_both_versions(self):
        self.make_network("both", {"ip_version": 4, "cidr": "10.98.0.0/24"}, {"ip_version": 6, "cidr": "fd00:98::/64"})
        server = self.create("both", networks=["both", "tenant"], config_drive=True)
        port = next(p for p in self.network.ports(device_id=server.id, network_id=self.networks["both"].id))
        found = self.addresses(server)
        self.assertEqual(list(found), ["both", "tenant"])
        self.assertEqual({address for _, address in found["both"]}, {ip["ip_address"] for ip in port.fixed_ips})
        self.assertEqual({version for version, _ in found["both"]}, {4, 6})
        data = self.network_data(server)
        self.assertEqual([(n["type"], n["link"]) for n in data["networks"]][:2],
                         [("ipv4_dhcp", f"tap{port.id[:11]}"), ("ipv6", f"tap{port.id[:11]}")])
        self.delete(server)

    def test_no_address(self):
        port = self.port("provider", fixed_ips=[])
        self.assertEqual(port.ip_allocation, "none")
        server = self.create("bare", networks=[port], config_drive=True)
        self.assertEqual(self.addresses(server), {"provider": set()})
        self.assertEqual(self.network_data(server)["networks"], [])
        wait(60, "the port up", lambda: self.network.get_port(port.id).status == "ACTIVE")
        self.assertEqual(self.network.get_port(port.id).binding_host_id, HOST)
        self.delete(server)
        self.assert_unbound(port)
        self.assert_nothing_left()

    def network_data(self, server):
        drive = self.instance_folder(server) / "disk.config"
        return json.loads(run("isoinfo", "-J", "-i", drive, "-x", "/openstack/latest/network_data.json").stdout)

    def test_port_has_the_server_s_name(self):
        given = self.port("tenant", dns_name="named")
        server = self.create("named", networks=[given, "provider"])
        names = {port.id: port.dns_name for port in self.network.ports(device_id=server.id)}
        self.assertEqual(set(names.values()), {"named"})
        self.delete(server)
        self.assertEqual(self.network.get_port(given.id).dns_name, "")

    def test_name_of_somebody_else(self):
        given = self.port("tenant", dns_name="somebody-else")
        server = self.request("named", networks=[given])
        server = self.wait_status(server, "ERROR", 90)
        self.assert_unbound(given)
        self.delete(server)
        self.assert_nothing_left()

    def test_data_path_that_is_said_to_be_down(self):
        """Told by somebody else than Open vSwitch; the server and its port are not touched."""
        server = self.create("watched", networks=["provider"])
        port = next(self.network.ports(device_id=server.id))
        self.network.update_port(port, data_plane_status="DOWN")
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        wait(60, "the port up again", lambda: self.network.get_port(port.id).status == "ACTIVE")
        port = self.network.get_port(port.id)
        self.assertEqual((port.data_plane_status, port.binding_host_id), ("DOWN", HOST))
