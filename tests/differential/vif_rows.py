# SPDX-License-Identifier: Apache-2.0
"""Ports plugged by os-vif and by kilonovad's own code into the same Open vSwitch: the same rows and devices?

vif_rows starts the switch. os-vif is called as Nova's libvirt driver calls it, on the same VIFs."""
import argparse
import json
import logging
import statistics
import subprocess
import sys
import time
import uuid

import os_vif
from nova.network import model
from nova.network import os_vif_util
from os_vif.objects import instance_info
from oslo_config import cfg
from vif_plug_ovs import privsep

INSTANCE = "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
SETTINGS = ({}, {"isolate_vif": True}, {"per_port_bridge": True})
NETDEV = {"datapath_type": "netdev"}
# name, type, details, bridge
CASES = (
    ("direct", "ovs", NETDEV, "br-int"),
    ("direct, new bridge", "ovs", NETDEV, "br-new"),
    ("direct, system data path", "ovs", {}, "br-sys"),
    ("direct, tap made", "ovs", {"ovs_create_tap": True, **NETDEV}, "br-int"),
    ("hybrid", "ovs", {"ovs_hybrid_plug": True, **NETDEV}, "br-int"),
    ("hybrid, system data path", "ovs", {"ovs_hybrid_plug": True, "datapath_type": "system"}, "br-sys"),
    ("trunk", "ovs", NETDEV, "tbr-1234abcd-5"),
    ("hybrid trunk", "ovs", {"ovs_hybrid_plug": True, **NETDEV}, "tbr-1234abcd-5"),
    ("vhostuser", "vhostuser", {"vhostuser_ovs_plug": True, "vhostuser_socket": "/run/vhu", **NETDEV}, "br-int"),
    ("vhostuser client", "vhostuser", {"vhostuser_ovs_plug": True, "vhostuser_socket": "/run/vhu",
                                       "vhostuser_mode": "client", **NETDEV}, "br-int"),
    ("vhostuser, no data path said", "vhostuser", {"vhostuser_ovs_plug": True, "vhostuser_socket": "/run/vhu"}, "br-int"),
)
QUICK = ("direct", "hybrid", "trunk", "vhostuser")
COLUMNS = {
    "Bridge": ("name", "datapath_type", "ports", "external_ids", "other_config"),
    "Port": ("name", "interfaces", "tag", "trunks", "vlan_mode", "qos", "external_ids", "other_config"),
    "Interface": ("name", "type", "options", "external_ids", "mtu_request", "other_config"),
    "QoS": ("type", "external_ids", "other_config"),
}
# Of taps not "pi": whoever opens one says it anew.
LINK_FLAGS = {"NO-CARRIER", "LOWER_UP"}


def make_vif(vif_type, details, bridge, number=0):
    port = str(uuid.UUID(int=0x49f2745f395248ea_ab07998930510485 + (number << 96)))
    return {"id": port, "address": "fa:16:3e:4d:%02x:%02x" % (number >> 8, number & 255), "type": vif_type,
            "vnic_type": "normal", "details": details, "profile": {}, "devname": ("tap" + port)[:14],
            "ovs_interfaceid": port, "delegate_create": True, "active": False, "preserve_on_delete": False,
            "network": {"id": "bccdbf81-4ed6-4e41-a163-aebd4148c153", "bridge": bridge, "label": "net",
                        "subnets": [], "meta": {"mtu": 1450}}}


class OsVif:
    def __init__(self, connection):
        privsep.vif_plug.set_client_mode(False)
        os_vif.initialize()
        cfg.CONF([], project="nova")
        cfg.CONF.set_override("ovsdb_connection", connection, "os_vif_ovs")
        from os_vif import _EXT_MANAGER
        self.plugin = _EXT_MANAGER["ovs"].obj
        self.instance = instance_info.InstanceInfo(uuid=INSTANCE, name="instance-1")

    def configure(self, settings):
        for name in ("isolate_vif", "per_port_bridge"):
            cfg.CONF.set_override(name, settings.get(name, False), "os_vif_ovs")
        self.plugin.ovsdb.connection = cfg.CONF.os_vif_ovs.ovsdb_connection

    def do(self, verb, vifs):
        start = time.monotonic()
        for vif in vifs:
            converted = os_vif_util.nova_to_osvif_vif(model.VIF.hydrate(json.loads(json.dumps(vif))))
            (os_vif.plug if verb == "plug" else os_vif.unplug)(converted, self.instance)
        return (time.monotonic() - start) * 1000


class Ours:
    def __init__(self, program, connection, settings):
        self.process = subprocess.Popen([program, connection, json.dumps(settings)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def do(self, verb, vifs):
        self.process.stdin.write("%s %s\n" % (verb, json.dumps(vifs)))
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != "ok":
            raise RuntimeError("%s: %s" % (verb, " ".join(answer)))
        return [float(number) for number in answer[1:]]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def plain(value, names):
    """OVSDB's JSON without what differs from run to run: rows by name instead of uuid."""
    if isinstance(value, list) and value and value[0] == "uuid":
        return names.get(value[1], "?")
    if isinstance(value, list) and value and value[0] == "set":
        return sorted(str(plain(one, names)) for one in value[1])
    if isinstance(value, list) and value and value[0] == "map":
        return dict(value[1])
    return value


def read_rows():
    tables, names = {}, {}
    for table in COLUMNS:
        text = subprocess.run(["ovs-vsctl", "--format=json", "list", table], check=True, capture_output=True, text=True).stdout
        read = json.loads(text) if text.strip() else {"headings": [], "data": []}
        tables[table] = [dict(zip(read["headings"], row)) for row in read["data"]]
        for row in tables[table]:
            names[row["_uuid"][1]] = row.get("name") or json.dumps(plain(row["external_ids"], {}), sort_keys=True)
    return {table: sorted(json.dumps({column: plain(row[column], names) for column in COLUMNS[table]}, sort_keys=True)
                          for row in rows) for table, rows in tables.items()}


def read_sysctl(name):
    try:
        with open("/proc/sys/net/" + name) as file:
            return file.read().strip()
    except OSError:
        return None


def read_links():
    links = json.loads(subprocess.run(["ip", "-d", "-j", "link"], check=True, capture_output=True, text=True).stdout)
    read = []
    for link in links:
        name = link["ifname"]
        if name in ("lo", "ovs-netdev") or name.startswith("br-"):
            continue
        # A tap that is plugged while the switch's user-space data path opens it is left down now and then.
        ignored = LINK_FLAGS | ({"UP"} if name.startswith("tap") else set())
        data = link.get("linkinfo", {})
        kept = {key: data.get("info_data", {}).get(key) for key in
                ("forward_delay", "stp_state", "ageing_time", "mcast_snooping", "type", "persist", "multi_queue")}
        read.append(json.dumps({
            "name": name, "flags": sorted(set(link["flags"]) - ignored), "mtu": link["mtu"], "master": link.get("master"),
            "promiscuity": link.get("promiscuity"), "kind": data.get("info_kind"), "data": kept,
            "peer": link.get("link"), "mac": link["address"] if name.startswith("tap") else None,
            "sysctl": [read_sysctl("ipv6/conf/%s/disable_ipv6" % name), read_sysctl("ipv4/conf/%s/arp_ignore" % name),
                       read_sysctl("ipv4/conf/%s/arp_announce" % name)]}, sort_keys=True))
    return sorted(read)


def read_all():
    state = read_rows()
    state["links"] = read_links()
    return state


def show_difference(case, theirs, ours):
    equal = True
    for part in theirs:
        for sign, rows, others in (("os-vif", theirs[part], ours[part]), ("ours  ", ours[part], theirs[part])):
            for row in rows:
                if row not in others:
                    equal = False
                    print("%s: %s %s: %s" % (case, part, sign, row))
    return equal


def drop_leaks(theirs):
    """os-vif makes a QoS row for a vhost-user port whose binding names no data path, and forgets it; ours goes."""
    return {**theirs, "QoS": []}


def wait_equal(expected, seconds=10):
    """The devices of the switch follow its rows."""
    deadline = time.monotonic() + seconds
    while read_all() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return read_all()


def reset(bridge):
    if bridge != "br-int":
        subprocess.run(["ovs-vsctl", "--if-exists", "del-br", bridge], check=True)


def compare(case, osvif, ours, settings):
    """Plugged twice (the second time must change nothing), then unplugged."""
    name, vif_type, details, bridge = case
    name = "%s %s" % (name, json.dumps(settings) if settings else "")
    vifs = [make_vif(vif_type, details, bridge)]
    states = []
    for plugger in (osvif, ours):
        before = read_all()
        plugger.do("plug", vifs)
        plugged = read_all()
        plugger.do("plug", vifs)
        again = wait_equal(plugged)
        plugger.do("unplug", vifs)
        states.append((plugged, again, read_all()))
        reset(bridge)
        subprocess.run(["ovs-vsctl", "--all", "destroy", "QoS"], check=True)
        wait_equal(before)
    equal = show_difference(name + "plugged", states[0][0], states[1][0])
    equal = show_difference(name + "plugged twice", states[1][0], states[1][1]) and equal
    return show_difference(name + "unplugged", drop_leaks(states[0][2]), states[1][2]) and equal


def time_switch(ours, vif, times):
    """Of a hybrid port's plug: what is left when its devices are there is the switch's part."""
    whole, of_switch = [], []
    for _ in range(times):
        whole += ours.do("plug", [vif])
        subprocess.run(["ovs-vsctl", "del-port", "qvo" + vif["id"][:11]], check=True)
        of_switch += ours.do("plug", [vif])
        ours.do("unplug", [vif])
    print("hybrid, p50 ms: plug %.2f, with its devices already there %.2f (%d times)" % (
        statistics.median(whole), statistics.median(of_switch), times))


def time_plugs(osvif, ours, cycles):
    before = read_all()
    for name, details in (("direct", NETDEV), ("hybrid", {"ovs_hybrid_plug": True, **NETDEV})):
        vifs = [make_vif("ovs", details, "br-int", number) for number in range(10)]
        theirs = {"plug": [], "unplug": []}
        for number in range(max(5, cycles // 20)):
            for verb in ("plug", "unplug"):
                theirs[verb].append(osvif.do(verb, [vifs[number % len(vifs)]]))
        plug, unplug = ours.do("cycle %d" % cycles, vifs)
        print("%s, p50 ms: os-vif plug %.2f unplug %.2f (%d times); ours plug %.2f unplug %.2f (%d times)" % (
            name, statistics.median(theirs["plug"]), statistics.median(theirs["unplug"]), len(theirs["plug"]), plug,
            unplug, cycles))
    time_switch(ours, vifs[0], max(5, cycles // 20))
    vifs = [make_vif("ovs", NETDEV, "br-int", number) for number in range(60)]
    print("60 ports in parallel, a transaction each: %.1f ms" % ours.do("parallel", vifs)[0])
    ours.do("unplug", vifs)
    return show_difference("after all cycles", before, wait_equal(before))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("connection")
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="compare the commonest ports only")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    osvif = OsVif(arguments.connection)
    compared = different = 0
    for settings in SETTINGS[:1] if arguments.quick else SETTINGS:
        ours = Ours(arguments.program, arguments.connection, settings)
        osvif.configure(settings)
        for case in [case for case in CASES if case[0] in QUICK] if arguments.quick else CASES:
            compared += 1
            different += not compare(case, osvif, ours, settings)
        ours.close()
    print("%d plugs compared with os-vif's, %d different" % (compared, different))
    ours = Ours(arguments.program, arguments.connection, {})
    osvif.configure({})
    nothing_left = time_plugs(osvif, ours, arguments.cycles)
    ours.close()
    print("nothing left" if nothing_left else "something was left")
    return 1 if different or not nothing_left else 0


if __name__ == "__main__":
    sys.exit(main())
