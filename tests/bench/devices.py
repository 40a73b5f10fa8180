# SPDX-License-Identifier: Apache-2.0
"""What attaching and detaching takes an agent, beyond the services and the hypervisor that it waits for.

An operation lasts from its first notification to its last.  Taken from that is the time in which Cinder or Neutron
worked on a request (uWSGI's log), a call of libvirt was under way (libvirt_time.c) or QEMU had been told to let a
device go and had not (libvirt's event).  What is left is the agent's, conductor and Placement included."""
import argparse
import concurrent.futures
import datetime
import os
import pathlib
import re
import statistics
import subprocess
import time

import openstack

from bench import AGENTS, HERE, HOST, LAB, LOGS, lab
from notification_bus import Bus

TIMES = pathlib.Path(os.environ["BENCH_DIR"]) / "libvirt-times"
EVENTS = pathlib.Path(os.environ["BENCH_DIR"]) / "events"
OPERATIONS = ("volume_attach", "volume_detach", "interface_attach", "interface_detach")
GOALS = {"volume_attach": "≤ 30", "volume_detach": "≤ 30", "interface_attach": "≤ 100"}
REQUEST = re.compile(r"^uwsgi (\d+) (\d+) ", re.M)
REMOVED = re.compile(r"^(\S+ \S+)\+0000: event 'device-removed'", re.M)


def seconds(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp()


def covered(intervals, began, ended):
    """The seconds of [began, ended] in which at least one of the intervals lies."""
    total, reached = 0, began
    for first, last in sorted(intervals):
        first, last = max(first, reached), min(last, ended)
        if last > first:
            total += last - first
            reached = last
    return total


class Log:
    """What a service's log gains."""

    def __init__(self, name):
        self.path = LOGS / f"{name}.log"
        self.offset = self.path.stat().st_size

    def requests(self):
        """(began, ended) of each since the last time, in seconds since the epoch."""
        with self.path.open(errors="replace") as log:
            log.seek(self.offset)
            text = log.read()
            self.offset = log.tell()
        return [(int(began) / 1e3, int(began) / 1e3 + int(took) / 1e6) for began, took in REQUEST.findall(text)]


def libvirt_calls():
    """[(name, began, ended)], in seconds since the epoch."""
    to_epoch = time.time() - time.monotonic()
    lines = [line.split() for line in TIMES.read_text().splitlines()]
    return [(name, (float(ended) - float(took)) / 1e3 + to_epoch, float(ended) / 1e3 + to_epoch)
            for name, took, ended in lines]


def waits_for_qemu(calls):
    """(told to let go, let go) of each device."""
    told = [began for name, began, _ in calls if name.startswith("virDomainDetachDevice")]
    gone = [seconds(when) for when in REMOVED.findall(EVENTS.read_text())]
    return [(max(began for began in told if began < when), when) for when in gone if told and told[0] < when]


class Devices:
    def __init__(self, options):
        self.options = options
        self.cloud = openstack.connect()
        self.logs = [Log("cinder"), Log("neutron")]
        self.network = self.cloud.network.find_network("tenant").id

    def start_agent(self, agent):
        for other in AGENTS:
            lab("agent", other, "stop", HOST)
        TIMES.write_text("")
        subprocess.run([str(LAB / "agent"), agent, "start", HOST, "oslo_messaging_notifications.driver=messagingv2"],
                       check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "LD_PRELOAD": os.environ["LIBVIRT_TIME"], "LIBVIRT_TIME_FILE": str(TIMES)})
        while not any(s.binary == "nova-compute" and s.state == "up" for s in self.cloud.compute.services()):
            time.sleep(0.5)
        time.sleep(15)  # its first report to Placement

    def servers(self, n, image):
        flavor = self.cloud.compute.find_flavor("guest").id
        made = [self.cloud.compute.create_server(name=f"devices-{i}", image_id=self.cloud.image.find_image(image).id,
                                                 flavor_id=flavor, networks=[{"uuid": self.network}]) for i in range(n)]
        return [self.cloud.compute.wait_for_server(server, wait=600, interval=0.5) for server in made]

    def wait_booted(self, server):
        while "KILONOVA GUEST UPTIME" not in self.cloud.compute.get_server_console_output(server)["output"]:
            time.sleep(1)

    def volumes(self, n):
        made = [self.cloud.block_storage.create_volume(size=1, name=f"devices-{i}", volume_type="ceph") for i in range(n)]
        return [self.cloud.block_storage.wait_for_status(volume, "available", wait=300, interval=0.5) for volume in made]

    # ---- one operation ----

    def volume_attach(self, server, volume):
        self.cloud.compute.create_volume_attachment(server, volume_id=volume.id)

    def volume_detach(self, server, volume):
        self.cloud.compute.delete_volume_attachment(server, volume.id)

    def interface_attach(self, server, _volume):
        self.port = self.cloud.compute.create_server_interface(server, net_id=self.network).port_id

    def interface_detach(self, server, _volume):
        self.cloud.compute.delete_server_interface(self.port, server)

    def measure(self, bus, server, volume, operation):
        """Milliseconds: (of the whole, beyond Cinder's, Neutron's and libvirt's own)."""
        bus.take()
        TIMES.write_text("")
        EVENTS.write_text("")
        for log in self.logs:
            log.requests()
        getattr(self, operation)(server, volume)
        found = {}
        while f"instance.{operation}.end" not in found:
            found.update((n["event_type"], seconds(n["timestamp"])) for n in bus.take())
        began, ended = found[f"instance.{operation}.start"], found[f"instance.{operation}.end"]
        calls = libvirt_calls()
        others = [interval for log in self.logs for interval in log.requests()]
        others += [call[1:] for call in calls] + waits_for_qemu(calls)
        return (ended - began) * 1e3, (ended - began - covered(others, began, ended)) * 1e3

    # ---- the figures ----

    def one_after_the_other(self, bus):
        server, volume = self.servers(1, "guest")[0], self.volumes(1)[0]
        samples = {operation: [] for operation in OPERATIONS}
        try:
            self.wait_booted(server)
            for operation in OPERATIONS:  # the first of each opens connections
                self.measure(bus, server, volume, operation)
            for _ in range(self.options.cycles):
                for operation in OPERATIONS:
                    samples[operation].append(self.measure(bus, server, volume, operation))
        finally:
            self.remove([server], [volume])
        return samples

    def at_once(self, bus):
        """Seconds, as the notifications say: (of one attach of a volume, of one to each of so many servers at once)."""
        n = self.options.servers + 1
        servers, volumes = self.servers(n, "hlt"), self.volumes(n)
        try:
            return [self.attach_all(bus, servers[part], volumes[part]) for part in (slice(1), slice(1, n))]
        finally:
            self.remove(servers, volumes)

    def attach_all(self, bus, servers, volumes):
        bus.take()
        with concurrent.futures.ThreadPoolExecutor(len(servers)) as asking:
            list(asking.map(self.volume_attach, servers, volumes))
        found = []
        while sum(name.endswith(".end") for name, _ in found) < len(servers):
            found += [(n["event_type"], seconds(n["timestamp"])) for n in bus.take() if ".volume_attach." in n["event_type"]]
        times = [when for _, when in found]
        return max(times) - min(times)

    def remove(self, servers, volumes):
        for server in servers:
            self.cloud.compute.delete_server(server)
        for server in servers:
            self.cloud.compute.wait_for_delete(server, wait=300, interval=0.5)
        for volume in volumes:
            self.cloud.block_storage.wait_for_status(volume, "available", wait=300, interval=0.5)
            self.cloud.block_storage.delete_volume(volume)

    def measure_agent(self, agent):
        self.start_agent(agent)
        bus = Bus()
        with EVENTS.open("a") as events, subprocess.Popen(
                ["stdbuf", "-oL", "virsh", "-c", os.environ["LAB_LIBVIRT_URI"], "event", "--all", "--loop", "--timestamp"],
                stdout=events) as watcher:
            try:
                return self.one_after_the_other(bus), self.at_once(bus)
            finally:
                watcher.terminate()


def row(operation, nova, ours):
    columns = [statistics.median(sample[n] for sample in samples) for n in (0, 1) for samples in (nova, ours)]
    return f"| {operation} | " + " | ".join(f"{value:.0f}" for value in columns) + f" | {GOALS.get(operation, '')} |"


def report(results, options):
    (nova, nova_at_once), (ours, ours_at_once) = (results[agent] for agent in AGENTS)
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    lines = [f"# Volumes and ports attached and detached\n\n`tests/bench/devices` at {commit.strip()}, {options.cycles} cycles on one "
             f"running guest, volumes in Ceph, {os.cpu_count()} cores; milliseconds, p50: of the whole from the first\n"
             "notification to the last, and what is left of it beyond Cinder's, Neutron's, libvirt's and QEMU's own time.\n",
             "| operation | nova-compute: whole | kilonovad: whole | nova-compute: own | kilonovad: own | goal of own |",
             "|---|---|---|---|---|---|"]
    lines += [row(operation, nova[operation], ours[operation]) for operation in OPERATIONS]
    for agent, (one, many) in zip(AGENTS, (nova_at_once, ours_at_once)):
        lines.append(f"\n{agent}: {options.servers} volumes to {options.servers} servers at once in {many:.2f} s, one in {one:.2f} s.")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--servers", type=int, default=10)
    options = parser.parse_args()
    devices = Devices(options)
    text = report({agent: devices.measure_agent(agent) for agent in AGENTS}, options)
    print(text)
    (HERE.parent / "results" / "devices.md").write_text(text)


if __name__ == "__main__":
    main()
