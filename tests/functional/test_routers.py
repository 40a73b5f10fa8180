# SPDX-License-Identifier: Apache-2.0
"""Guests of networks with a router between them and the provider's network (Neutron's L3 agent)."""
import json
import os

from lab import wait
from test_ports import Ports


class Routed(Ports):
    def make_networks(self):
        router = self.network.create_router(
            name="router", external_gateway_info={"network_id": self.networks["provider"].id})
        for name, cidr in (("east", "10.96.0.0/24"), ("west", "10.97.0.0/24")):
            self.networks[name] = self.network.create_network(name=name)
            subnet = self.network.create_subnet(network_id=self.networks[name].id, ip_version=4, cidr=cidr)
            self.network.add_interface_to_router(router, subnet_id=subnet.id)
        return router

    def remove_networks(self, router):
        for port in self.network.ports(device_id=router.id, device_owner="network:router_interface"):
            self.network.remove_interface_from_router(router, port_id=port.id)
        self.network.delete_router(router)
        for name in ("east", "west"):
            self.network.delete_network(self.networks.pop(name).id)

    def floating_ip(self, port):
        floating = self.network.create_ip(floating_network_id=self.networks["provider"].id, port_id=port.id)
        self.addCleanup(self.network.delete_ip, floating.id)
        return floating.floating_ip_address

    def test_guests_reach_each_other_and_the_metadata(self):
        name, key = self.keypair()
        router = self.make_networks()
        self.addCleanup(self.remove_networks, router)
        servers = {network: self.request(network, image="guest", flavor="guest", networks=[network], key_name=name)
                   for network in ("east", "west")}
        for server in servers.values():
            self.wait_status(server, "ACTIVE", 180)
        ports = {network: next(self.network.ports(device_id=server.id)) for network, server in servers.items()}
        self.assertEqual({port.binding_vif_type for port in ports.values()},
                         {"vhostuser" if os.environ.get("LAB_DPDK") else "ovs"})
        address = self.floating_ip(ports["east"])
        wait(60, "the floating address in the cache", lambda: address in str(self.get(servers["east"]).addresses))
        self.wait_console(servers["west"], "KILONOVA GUEST UP", 180)
        west = ports["west"].fixed_ips[0]["ip_address"]
        self.assertIn(" 0% packet loss", self.ssh(key, address, f"ping -c 3 -W 5 {west}", 180))
        data = "wget -qO- http://169.254.169.254/openstack/latest/meta_data.json"
        self.assertEqual(json.loads(self.ssh(key, address, data))["uuid"], servers["east"].id)
        for server in servers.values():
            self.delete(server)
        self.assert_nothing_left()
