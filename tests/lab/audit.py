# SPDX-License-Identifier: Apache-2.0
"""What is there on a host for servers that are not: see audit."""
import json
import os
import pathlib
import socket
import subprocess
import sys

import openstack

HOST = sys.argv[1]
FOLDER = pathlib.Path(os.environ["LAB_DIR"]) / "hosts" / HOST
LIBVIRT = f"qemu+unix:///system?socket={FOLDER}/run/libvirt-sock"
OURS = {"_base", "locks", "compute_nodes", "snapshots"}  # of instances_path, for good


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def domains(servers, ports):
    return [uuid for uuid in run("virsh", "-q", "-c", LIBVIRT, "list", "--all", "--uuid").split()
            if uuid not in servers]


def taps(servers, ports):
    known = {f"tap{port.id[:11]}" for port in ports}
    return [link for _, link in socket.if_nameindex() if link.startswith("tap") and link not in known]


def ovs_ports(servers, ports):
    found = json.loads(run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", "--format=json",
                           "--columns=name,external_ids", "list", "Interface"))
    found = {name: dict(ids[1]) for name, ids in found["data"]}
    return [name for name, ids in found.items()
            if "iface-id" in ids and ids.get("vm-uuid", ids.get("vm-id", "-")) not in servers | {"-"}]


def neutron_ports(servers, ports):
    return [port.id for port in ports
            if port.device_owner.startswith("compute:") and port.device_id not in servers]


def files(servers, ports):
    folder = FOLDER / "state" / "instances"
    names = os.listdir(folder) if folder.exists() else []
    left = [name for name in names if name not in OURS and name[:36] not in servers]
    left += [str(path) for path in (folder / "snapshots").glob("*")]
    return left + [str(path) for path in (folder / "_base").glob("*.part")]


def allocations(servers, ports):
    provider = next(iter(cloud.placement.resource_providers(name=HOST)), None)
    if not provider:
        return []
    answer = cloud.placement.get(f"/resource_providers/{provider.id}/allocations")
    return [consumer for consumer in answer.json()["allocations"] if consumer not in servers]


cloud = openstack.connect()
existing = {server["id"] for server in
            cloud.compute.get("/servers?all_tenants=1&limit=1000").json()["servers"]}
all_ports = list(cloud.network.ports())
total = 0
for kind in (domains, taps, ovs_ports, neutron_ports, files, allocations):
    names = kind(existing, all_ports)
    total += len(names)
    print(kind.__name__, len(names), *names)
sys.exit(total > 0)
