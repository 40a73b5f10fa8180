# SPDX-License-Identifier: Apache-2.0
"""Runs nova-compute and then kilonovad over the same combinations and compares what each of them made.

What is compared of a server: its inactive domain XML, its instance record, block device mappings and network
info as the agent saved them, its action events and, when it fails, its fault; of the host: the service record,
the compute node record, and Placement's inventory, traits and aggregates.  Values that are new with every server
(uuids, domain names, times, free space) are replaced before; everything else that differs is a failure, unless
KNOWN names it with its reason.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import openstack
from nova import config, context, exception, objects

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
HOST = os.environ["LAB_HOST"]
AGENTS = ("nova-compute", "kilonovad")

# name: (flavor extra specs, image properties, arguments of the server, networks)
COMBINATIONS = {
    "plain": ({}, {}, {}, ["provider"]),
    "no-network": ({}, {}, {}, []),
    "two-ports": ({}, {}, {}, ["provider", "tenant"]),
    "q35": ({}, {"hw_machine_type": "q35"}, {}, ["provider"]),
    "uefi": ({}, {"hw_machine_type": "q35", "hw_firmware_type": "uefi"}, {}, ["provider"]),
    "scsi": ({}, {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi", "hw_cdrom_bus": "scsi"},
             {"config_drive": True}, ["provider"]),
    "sata": ({}, {"hw_disk_bus": "sata", "hw_machine_type": "q35"}, {}, ["provider"]),
    "ide": ({}, {"hw_disk_bus": "ide"}, {}, ["provider"]),
    "guest-agent": ({}, {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}, {}, ["provider"]),
    "video": ({"hw_video:ram_max_mb": "32"}, {"hw_video_model": "vga", "hw_video_ram": "16"}, {}, ["provider"]),
    "no-video": ({}, {"hw_video_model": "none"}, {}, ["provider"]),
    "watchdog": ({"hw:watchdog_action": "reset"}, {}, {}, ["provider"]),
    "watchdog-of-image": ({"hw:watchdog_action": "reset"}, {"hw_watchdog_action": "poweroff"}, {}, ["provider"]),
    "rng": ({"hw_rng:allowed": "True", "hw_rng:rate_bytes": "4096", "hw_rng:rate_period": "1000"},
            {"hw_rng_model": "virtio"}, {}, ["provider"]),
    "no-rng": ({"hw_rng:allowed": "False"}, {}, {}, ["provider"]),
    "topology": ({"hw:cpu_sockets": "2", "hw:cpu_cores": "1", "hw:cpu_threads": "2"}, {}, {"vcpus": 4}, ["provider"]),
    "topology-of-image": ({"hw:cpu_max_sockets": "2"}, {"hw_cpu_cores": "2"}, {"vcpus": 4}, ["provider"]),
    "e1000": ({}, {"hw_vif_model": "e1000"}, {}, ["provider"]),
    "multiqueue": ({"hw:vif_multiqueue_enabled": "true"}, {"hw_vif_multiqueue_enabled": "true"},
                   {"vcpus": 2}, ["provider"]),
    "quotas": ({"quota:disk_read_bytes_sec": "10485760", "quota:disk_total_iops_sec": "500"}, {}, {}, ["provider"]),
    # Without the cgroup, without the qdisc sfq these cannot start: then both agents have to fail alike.
    "cpu-quotas": ({"quota:cpu_shares": "512", "quota:cpu_period": "50000", "quota:cpu_quota": "25000"}, {}, {},
                   ["provider"]),
    "vif-quotas": ({"quota:vif_inbound_average": "1000", "quota:vif_outbound_peak": "2000"}, {}, {}, ["provider"]),
    "windows": ({}, {"os_type": "windows"}, {}, ["provider"]),
    "linux-architecture": ({}, {"os_type": "linux", "hw_architecture": "x86_64", "os_distro": "debian"}, {}, ["provider"]),
    "boot-menu": ({"hw:boot_menu": "true"}, {"hw_boot_menu": "true"}, {}, ["provider"]),
    "input": ({}, {"hw_pointer_model": "usbtablet", "hw_input_bus": "virtio"}, {}, ["provider"]),
    "hidden": ({"hide_hypervisor_id": "true"}, {}, {}, ["provider"]),
    "hpet": ({}, {"hw_time_hpet": "true"}, {}, ["provider"]),
    "serial-ports": ({"hw:serial_port_count": "2"}, {}, {}, ["provider"]),
    "numa": ({"hw:numa_nodes": "1"}, {}, {"vcpus": 2}, ["provider"]),
    "small-pages": ({"hw:mem_page_size": "small"}, {}, {}, ["provider"]),
    "dedicated": ({"hw:cpu_policy": "dedicated"}, {}, {}, ["provider"]),
    "pmu": ({"hw:pmu": "false"}, {}, {}, ["provider"]),
    "secure-boot": ({"os:secure_boot": "required"}, {"hw_machine_type": "q35", "hw_firmware_type": "uefi"}, {}, ["provider"]),
    "disks": ({}, {}, {"ephemeral": 1, "swap": 64}, ["provider"]),
    "ephemerals": ({}, {}, {"ephemeral": 2, "block_device_mapping": [
        {"boot_index": 0, "source_type": "image", "destination_type": "local", "delete_on_termination": True},
        {"boot_index": -1, "source_type": "blank", "destination_type": "local", "volume_size": 1,
         "guest_format": "ext4", "delete_on_termination": True},
        {"boot_index": -1, "source_type": "blank", "destination_type": "local", "volume_size": 1,
         "delete_on_termination": True}]}, ["provider"]),
    "config-drive": ({}, {}, {"config_drive": True, "user_data": "c2VjcmV0", "metadata": {"role": "db"}}, ["provider"]),
    "config-drive-of-image": ({}, {"img_config_drive": "mandatory"}, {}, ["provider"]),
    "traits": ({}, {"hw_virtio_packed_ring": "true"}, {}, ["provider"]),
    "hostname": ({}, {}, {"hostname": "another", "description": "a server"}, ["provider"]),
    "tags": ({}, {}, {"tags": ["blue"], "config_drive": True}, ["provider"]),
}

# What ./check compares without --all.
SHORT = ["plain", "no-network", "two-ports", "q35", "scsi", "guest-agent", "video", "watchdog", "topology", "quotas",
         "disks", "config-drive", "tags"]

# (a regular expression of a difference, the reason): differences that are meant, or not the agent's.
KNOWN = [
    (r"/instance/network_info/\d+/active = ",
     "a port's change during the build refreshes the record after the build here, and before the port is up there"),
    (r"/instance/system_metadata/clean_attempts = ",
     "nova-compute removes the files of a failed build twice"),
]


def lab(*argv):
    result = subprocess.run([str(LAB / argv[0]), *argv[1:]], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{argv}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def virsh(*argv):
    return subprocess.run(["virsh", "-q", "-c", os.environ["LAB_LIBVIRT_URI"], *argv],
                          check=True, capture_output=True, text=True).stdout


def wait(seconds, what, check):
    deadline = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.3)
    return value


def flat(value, path=""):
    """Lines "path = value" of a JSON value."""
    if isinstance(value, dict):
        for key in sorted(value):
            if key != "nova_object.changes":  # in a stored object it means nothing
                yield from flat(value[key], f"{path}/{key}")
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from flat(item, f"{path}/{n}")
        yield f"{path} has {len(value)}"
    else:
        yield f"{path} = {value!r}"


def without_memory(state):
    """A virtual machine's memory may grow and shrink between two runs: everything is said against its total."""
    total = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) // 1024
    for key in ("memory_mb", "free_ram_mb"):
        state["node"][key] -= total
    inventory = state["inventories"].get("MEMORY_MB", {})
    for key in ("total", "max_unit"):
        if key in inventory:
            inventory[key] -= total
    for cell in state["node"]["numa_topology"]["nova_object.data"]["cells"]:
        cell["nova_object.data"]["memory"] -= total
        cell["nova_object.data"]["mempages"][0]["nova_object.data"]["total"] -= total * 256
    return state


def flat_xml(element, path=""):
    """Lines of an XML element; the order of elements of one name is kept, that of others does not count."""
    path += "/" + element.tag.rsplit("}")[-1]
    yield path + "".join(f"[{k}={v}]" for k, v in sorted(element.attrib.items())) + " " + (element.text or "").strip()
    seen = {}
    for child in element:
        n = seen[child.tag] = seen.get(child.tag, -1) + 1
        yield from flat_xml(child, f"{path}#{n}" if n else path)


class Cloud:
    def __init__(self):
        self.cloud = openstack.connect()
        config.parse_args(["equality", "--config-file", f"{os.environ['LAB_DIR']}/etc/nova/nova.conf"])
        objects.register_all()
        self.ctxt = context.get_admin_context().elevated(read_deleted="yes")
        cell = next(c for c in objects.CellMappingList.get_all(self.ctxt) if not c.is_cell0())
        context.set_target_cell(self.ctxt, cell)
        self.data = (pathlib.Path(os.environ["LAB_DIR"]) / "images/hlt.raw").read_bytes()
        self.networks = {n.name: n.id for n in self.cloud.network.networks()}
        self.made = []

    def undo(self):
        for function, *args in reversed(self.made):
            function(*args)

    # ---- what both agents get alike ----

    def prepare(self, name):
        """Flavor, image and ports of a combination."""
        specs, properties, server, networks = COMBINATIONS[name]
        server = dict(server)
        compute, image_api, network = self.cloud.compute, self.cloud.image, self.cloud.network
        flavor = compute.create_flavor(name=f"equality-{name}", ram=64, disk=1, vcpus=server.pop("vcpus", 1),
                                       ephemeral=server.pop("ephemeral", 0), swap=server.pop("swap", 0))
        self.made.append((compute.delete_flavor, flavor))
        if specs:
            compute.create_flavor_extra_specs(flavor, specs)
        image = image_api.create_image(f"equality-{name}", data=self.data, disk_format="raw", container_format="bare",
                                       **properties)
        self.made.append((image_api.delete_image, image))
        ports = []
        for n, net in enumerate(networks):
            ports.append(network.create_port(network_id=self.networks[net], name=f"equality-{name}-{n}"))
            self.made.append((network.delete_port, ports[-1]))
        mappings = server.get("block_device_mapping")
        if mappings:
            server["block_device_mapping"] = [dict(m, uuid=image.id) if m["source_type"] == "image" else m
                                              for m in mappings]
        return dict(name=f"equality-{name}", flavor_id=flavor.id, image_id=image.id,
                    networks=[{"port": port.id} for port in ports] or "none", **server)

    # ---- what an agent made of it ----

    def host_state(self):
        service = objects.Service.get_by_host_and_binary(self.ctxt, HOST, "nova-compute")
        node = objects.ComputeNode.get_first_node_by_host_for_old_compat(self.ctxt, HOST)
        fields = {}
        for field in node.fields:
            if node.obj_attr_is_set(field):
                fields[field] = getattr(node, field)
        plain = json.loads(json.dumps(fields, default=lambda o: o.obj_to_primitive() if hasattr(o, "obj_to_primitive") else str(o)))
        for volatile in ("created_at", "updated_at", "disk_available_least", "local_gb_used", "free_disk_gb", "id", "uuid"):
            plain.pop(volatile, None)
        plain["cpu_info"] = json.loads(plain["cpu_info"])
        plain["cpu_info"]["features"].sort()
        plain["numa_topology"] = json.loads(plain["numa_topology"])
        uptime = re.sub(r"up .*?,(  \d+ user)", r"up TIME,\1", plain["stats"].get("uptime", ""))  # "23:59", "1 day, 2 min"
        plain["stats"]["uptime"] = re.sub(r"\d+", "N", uptime)
        get = self.cloud.placement.get
        provider = get(f"/resource_providers?name={HOST}").json()["resource_providers"][0]
        base = f"/resource_providers/{provider['uuid']}"
        version = {"openstack-api-version": "placement 1.39"}
        return without_memory({
            "service": {key: getattr(service, key) for key in ("version", "topic", "binary", "host", "disabled", "disabled_reason")},
            "node": plain,
            "inventories": get(f"{base}/inventories").json()["inventories"],
            "traits": sorted(get(f"{base}/traits", headers=version).json()["traits"]),
            "aggregates": get(f"{base}/aggregates", headers=version).json()["aggregates"],
        })

    def forget_provider_data(self):
        """What the agents write, they shall write anew."""
        provider = self.cloud.placement.get(f"/resource_providers?name={HOST}").json()["resource_providers"]
        if provider:
            base = f"/resource_providers/{provider[0]['uuid']}"
            version = {"openstack-api-version": "placement 1.39"}
            body = {"resource_provider_generation": provider[0]["generation"], "traits": []}
            answer = self.cloud.placement.put(f"{base}/traits", json=body, headers=version)
            generation = answer.json()["resource_provider_generation"]
            self.cloud.placement.put(f"{base}/inventories", headers=version,
                                     json={"resource_provider_generation": generation, "inventories": {}})

    def server_state(self, server):
        fresh = self.cloud.compute.get_server(server.id)
        result = {"status": fresh.status, "fault": None}
        if fresh.fault:
            result["fault"] = {"code": fresh.fault["code"], "message": fresh.fault["message"]}
        try:
            instance = objects.Instance.get_by_uuid(self.ctxt, server.id, expected_attrs=[
                "system_metadata", "metadata", "info_cache", "numa_topology", "vcpu_model", "device_metadata",
                "pci_requests", "tags"])
        except exception.InstanceNotFound:  # no host fits: it never reached this cell
            result["mappings"] = []
            return result
        record = {}
        for field in ("vm_state", "task_state", "power_state", "host", "node", "launched_on", "root_device_name",
                      "default_ephemeral_device", "default_swap_device", "config_drive", "architecture", "os_type",
                      "vm_mode", "hostname", "display_name", "auto_disk_config", "progress", "access_ip_v4", "system_metadata",
                      "metadata", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "shutdown_terminate", "cleaned",
                      "disable_terminate", "locked"):
            record[field] = getattr(instance, field)
        roles = record["system_metadata"].get("boot_roles", "")  # the API's, in any order
        record["system_metadata"]["boot_roles"] = ",".join(sorted(roles.split(",")))
        for field in ("numa_topology", "vcpu_model", "device_metadata", "pci_requests"):
            value = getattr(instance, field)
            record[field] = value.obj_to_primitive() if value is not None else None
        record["launched"] = instance.launched_at is not None
        record["network_info"] = instance.info_cache.network_info.json() if instance.info_cache.network_info else None
        record["network_info"] = json.loads(record["network_info"] or "[]")
        result["instance"] = json.loads(json.dumps(record, default=str))
        mappings = []
        for bdm in objects.BlockDeviceMappingList.get_by_instance_uuid(self.ctxt, server.id):
            mappings.append({field: getattr(bdm, field) for field in (
                "source_type", "destination_type", "device_name", "boot_index", "disk_bus", "device_type", "guest_format",
                "volume_size", "delete_on_termination", "no_device", "connection_info", "tag", "encrypted")})
        result["mappings"] = mappings
        result["events"] = self.events(server)
        if fresh.status == "ACTIVE":
            result["xml"] = virsh("dumpxml", "--inactive", server.id)
        return result

    def events(self, server):
        lines = []
        for action in reversed(objects.InstanceActionList.get_by_instance_uuid(self.ctxt, server.id)):
            for event in reversed(objects.InstanceActionEventList.get_by_action(self.ctxt, action.id)):
                lines.append(f"{action.action} {action.message} {event.event} {event.result} {event.host} {event.details}")
        return lines

    def have_events_ended(self, servers):
        """What ends a deletion is told after the server is gone."""
        return all(event.finish_time for server in servers
                   for action in objects.InstanceActionList.get_by_instance_uuid(self.ctxt, server.id)
                   for event in objects.InstanceActionEventList.get_by_action(self.ctxt, action.id))

    def run(self, agent, requests):
        for other in AGENTS:
            lab("agent", other, "stop", HOST)
        self.forget_provider_data()
        before = self.service_time()
        lab("agent", agent, "start", HOST)
        wait(120, f"{agent} up", lambda: self.service_time() != before)
        wait(60, f"inventory by {agent}", lambda: self.host_state()["inventories"])
        wait(60, f"traits by {agent}", lambda: self.host_state()["traits"])
        result = {"host": self.host_state(), "servers": {}}
        compute = self.cloud.compute
        servers = {}
        try:
            for name, request in requests.items():  # one by one: nova-compute's claims may collide in Placement
                servers[name] = server = compute.create_server(**request)
                wait(300, f"{agent}: {name}", lambda: self.settled(server))
                result["servers"][name] = self.scrub(server, self.steady_state(server))
        finally:
            for server in servers.values():
                compute.delete_server(server)
            for server in servers.values():
                compute.wait_for_delete(server, wait=120)
        wait(60, "the deletions' events", lambda: self.have_events_ended(servers.values()))
        for name, server in servers.items():
            result["servers"][name]["events after deletion"] = [self.scrub_text(server, line) for line in self.events(server)]
        return result

    def steady_state(self, server):
        """A status of ERROR comes before the conductor has cleaned up."""
        before = None
        while before != (state := self.server_state(server)):
            before = state
            time.sleep(1 if state["status"] == "ERROR" else 0.2)
        return state

    def settled(self, server):
        fresh = self.cloud.compute.get_server(server.id)
        return fresh.status in ("ACTIVE", "ERROR") and fresh.task_state is None

    def service_time(self):
        for service in objects.ServiceList.get_by_binary(self.ctxt, "nova-compute", include_disabled=True):
            if service.host == HOST:
                return service.last_seen_up
        return None

    # ---- what is new with every server ----

    @staticmethod
    def scrub_text(server, text):
        text = text.replace(server.id, "UUID")
        text = re.sub(r"instance-[0-9a-f]{8}", "INSTANCE", text)
        text = re.sub(r"req-[0-9a-f-]{36}", "REQUEST", text)
        text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "TIME", text)
        return text

    def scrub(self, server, state):
        state = json.loads(self.scrub_text(server, json.dumps(state)))
        for mapping in state["mappings"]:
            mapping.pop("uuid", None)
        return state


def lines_of(state):
    state = dict(state)
    xml = state.pop("xml", None)
    lines = list(flat(state))
    if xml:
        lines += flat_xml(ET.fromstring(xml), "xml")
    return lines


def differences(expected, actual):
    left, right = lines_of(expected), lines_of(actual)
    have = set(right)
    found = ["nova-compute: " + line for line in left if line not in have]
    have = set(left)
    found += ["kilonovad:    " + line for line in right if line not in have]
    return found


def judge(name, expected, actual):
    """Prints the verdict; true when equal but for what is known."""
    unknown, reasons = [], set()
    for line in differences(expected, actual):
        reason = next((reason for pattern, reason in KNOWN if re.search(pattern, line)), None)
        if reason:
            reasons.add(reason)
        else:
            unknown.append(line)
    note = f" (known: {'; '.join(sorted(reasons))})" if reasons else ""
    status = f" {expected['status']}" if "status" in expected else ""
    print(f"{'not ok' if unknown else 'ok'} equality {name}{status}{note}")
    for line in unknown:
        print("   ", line[:400])
    return not unknown


def main():
    names = SHORT if sys.argv[1:] == ["--short"] else sys.argv[1:] or list(COMBINATIONS)
    cloud = Cloud()
    try:
        requests = {name: cloud.prepare(name) for name in names}
        results = [cloud.run(agent, requests) for agent in AGENTS]
    finally:
        cloud.undo()
    folder = os.environ.get("KILONOVA_EQUALITY_DIR")
    if folder:
        for agent, result in zip(AGENTS, results):
            pathlib.Path(folder, f"{agent}.json").write_text(json.dumps(result, indent=1, sort_keys=True))
    nova, kilonova = results
    good = [judge(f"host {part}", {part: nova["host"][part]}, {part: kilonova["host"][part]}) for part in nova["host"]]
    good += [judge(name, nova["servers"][name], kilonova["servers"][name]) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
