# SPDX-License-Identifier: Apache-2.0
"""Measures both agents the same way and prints the ratios.

Every figure is taken from outside: /proc and the processes' CPU clocks for memory and CPU (all processes of
the agent, reaped children counted), the API and the broker for times, the agents' own "Took N seconds" lines
for builds, and a preloaded library for the time that builds spend in libvirt's calls.  Memory is looked at
after SETTLE seconds of rest.  What an instance costs for good is measured of kilonovad only, between --guests
and --more of them after REST seconds: before, the memory that as many builds at once need grows, too.
Seconds of CPU and memory hardly depend on what else the machine does; the other times do, for both agents alike.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

import openstack
import oslo_messaging
from nova import config, context, objects, rpc
from nova.compute import rpcapi

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab"
HOST = os.environ["LAB_HOST"]
LOGS = pathlib.Path(os.environ["LAB_LOG"])
TICKS = os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2  # of the kernel's posix-timers.h: what clock_getcpuclockid() makes of a pid
AGENTS = ("nova-compute", "kilonovad")
SETTLE = 15
REST = 30
IDLE = 40
README = HERE.parents[1] / "README.md"
# figure of kilonovad's, what it may be at most: the fraction of nova-compute's, the absolute value
TARGETS = {
    "PSS idle, MiB": (1 / 15, 9),
    "PSS an instance, KiB": (None, 20),
    "exec to consuming, s": (1 / 15, 0.15),
    "exec to service up, s": (None, 0.5),
    "CPU a boot with one port, s": (1 / 8, None),
    "get_console_output p50, ms": (1 / 2, None),
}


def lab(*argv):
    return subprocess.run([str(LAB / argv[0]), *argv[1:]], check=True, capture_output=True, text=True).stdout


def stat_fields(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


class Processes:
    """All processes of an agent: its main one, what descends from it, and its privsep daemons."""

    def __init__(self, agent):
        words = [w for w in lab("agent", agent, "status", HOST).split() if w.isdigit()]
        self.main = int(words[-1])

    def pids(self):
        found = {self.main}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int(stat_fields(entry.name)[1])
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except (OSError, IndexError):
                continue
            if parent in found or "privsep-helper" in line and f"nova-compute-{HOST}" in line:
                found.add(int(entry.name))
        return found

    def memory(self):
        """(PSS, RSS) in MiB."""
        pss = rss = 0
        for pid in self.pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
            rss += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1])
        return pss / 1024, rss / 1024

    def cpu(self):
        """CPU seconds so far: of each process by its own clock, of reaped children in the kernel's ticks."""
        total = 0
        for pid in self.pids():
            try:
                children = sum(int(x) for x in stat_fields(pid)[13:15]) / TICKS
                total += time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) + children
            except OSError:
                pass
        return total


class Bench:
    def __init__(self, options):
        self.options = options
        self.cloud = openstack.connect()
        config.parse_args(["bench", "--config-file", f"{os.environ['LAB_DIR']}/etc/nova/nova.conf"])
        objects.register_all()
        objects.Service.enable_min_version_cache()
        self.ctxt = context.get_admin_context()
        cell = next(c for c in objects.CellMappingList.get_all(self.ctxt) if not c.is_cell0())
        context.set_target_cell(self.ctxt, cell)
        self.compute = rpcapi.ComputeAPI()

    # ---- the API ----

    def service(self):
        return next((s for s in self.cloud.compute.services() if s.binary == "nova-compute" and s.host == HOST), None)

    def create(self, n, network):
        image = self.cloud.image.find_image("hlt").id
        flavor = self.cloud.compute.find_flavor("tiny").id
        nics = [{"uuid": self.cloud.network.find_network("provider").id}] if network else "none"
        servers = [self.cloud.compute.create_server(name=f"bench-{i}", image_id=image, flavor_id=flavor, networks=nics)
                   for i in range(n)]
        return [self.cloud.compute.wait_for_server(s, wait=300, interval=0.5) for s in servers]

    def delete(self, servers):
        for server in servers:
            self.cloud.compute.delete_server(server.id)
        for server in servers:
            self.cloud.compute.wait_for_delete(server, wait=300, interval=0.5)

    def await_report(self, before):
        """Until the service is up by a report that is not in its record of before."""
        stale = before and before.updated_at
        while not ((now := self.service()) and now.state == "up" and now.updated_at != stale):
            time.sleep(0.05)

    def has_inventory(self):
        providers = self.cloud.placement.get(f"/resource_providers?name={HOST}").json()["resource_providers"]
        return providers and self.cloud.placement.get(
            f"/resource_providers/{providers[0]['uuid']}/inventories").json()["inventories"]

    # ---- the figures ----

    def start(self, agent, **environment):
        """(exec to consuming, exec to service up) in seconds: a call waits in the queue for the first consumer."""
        before = self.service()
        process = subprocess.Popen([str(LAB / "agent"), agent, "start", HOST], stdout=subprocess.DEVNULL,
                                   env={**os.environ, **environment})
        client = rpc.get_client(oslo_messaging.Target(topic="compute", server=HOST, namespace="baseapi", version="1.0"))
        client.prepare(timeout=60).call(self.ctxt, "ping", arg="x")
        consuming = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.await_report(before)
        up = time.clock_gettime(time.CLOCK_BOOTTIME)
        process.wait()
        executed = int(stat_fields(Processes(agent).main)[19]) / TICKS
        return consuming - executed, up - executed

    def idle_cpu(self, processes):
        before = processes.cpu()
        time.sleep(IDLE)
        return (processes.cpu() - before) * 60 / IDLE

    def boot_cpu(self, processes):
        """CPU seconds and build seconds of one boot with a port, medians; the first is not counted."""
        cpu = []
        self.delete(self.create(1, True))
        for _ in range(self.options.boots):
            before = processes.cpu()
            servers = self.create(1, True)
            time.sleep(2)
            cpu.append(processes.cpu() - before)
            self.delete(servers)
        return statistics.median(cpu)

    def build_seconds(self, agent):
        """(of a whole build, of it in libvirt): from the message to the running domain, medians."""
        times = pathlib.Path(os.environ["BENCH_DIR"]) / "libvirt-times"
        lab("agent", agent, "stop", HOST)
        self.start(agent, LD_PRELOAD=os.environ["LIBVIRT_TIME"], LIBVIRT_TIME_FILE=str(times))
        time.sleep(5)
        self.delete(self.create(1, True))
        path = LOGS / f"{agent}-{HOST}.log"
        offset, inside = path.stat().st_size, []
        for _ in range(self.options.boots):
            times.write_text("")
            servers = self.create(1, True)
            inside.append(sum(float(line.split()[1]) for line in times.read_text().splitlines()) / 1000)
            self.delete(servers)
        log = path.read_text(errors="replace")[offset:]
        took = [float(x) for x in re.findall(r"Took ([\d.]+) seconds to build instance", log)]
        lab("agent", agent, "stop", HOST)
        return statistics.median(took), statistics.median(inside)

    def round_trips(self, server):
        instance = objects.Instance.get_by_uuid(self.ctxt, server.id)
        times = []
        for _ in range(self.options.calls):
            began = time.monotonic()
            self.compute.get_console_output(self.ctxt, instance, 10)
            times.append((time.monotonic() - began) * 1000)
        times.sort()
        return times[len(times) // 2], times[int(len(times) * 0.99) - 1]

    def starts(self, agent):
        """The medians of three starts; before, the agent is known to the cell and has the image in its cache."""
        for other in AGENTS:
            lab("agent", other, "stop", HOST)
        before = self.service()
        lab("agent", agent, "start", HOST)
        self.await_report(before)
        while not self.has_inventory():
            time.sleep(0.5)
        self.delete(self.create(1, True))
        times = []
        for _ in range(3):
            lab("agent", agent, "stop", HOST)
            times.append(self.start(agent))
        return (statistics.median(column) for column in zip(*times))

    def measure(self, agent):
        figures = {}
        figures["exec to consuming, s"], figures["exec to service up, s"] = self.starts(agent)
        processes = Processes(agent)
        time.sleep(SETTLE)
        figures["PSS idle, MiB"], figures["RSS idle, MiB"] = processes.memory()
        figures["CPU idle, s a minute"] = self.idle_cpu(processes)
        figures["CPU a boot with one port, s"] = self.boot_cpu(processes)
        servers = self.create(1, True)
        try:
            time.sleep(SETTLE)
            figures["PSS with 1 guest, MiB"], figures["RSS with 1 guest, MiB"] = processes.memory()
            p50, p99 = self.round_trips(servers[0])
            figures["get_console_output p50, ms"], figures["get_console_output p99, ms"] = p50, p99
            figures |= self.guests(agent, processes, servers)
        finally:
            self.delete(servers)
        took, inside = self.build_seconds(agent)
        figures["build with one port, s"], figures["of it in libvirt, s"] = took, inside
        figures["build without libvirt, s"] = took - inside
        return figures

    def guests(self, agent, processes, servers):
        """Memory with --guests guests at least, which are added to servers, and what more of them cost."""
        figures, guests, more = {}, self.options.guests, self.options.more
        servers += self.create(guests - len(servers), True)
        time.sleep(REST)
        pss, rss = processes.memory()
        figures[f"PSS with {guests} guests, MiB"], figures[f"RSS with {guests} guests, MiB"] = pss, rss
        if agent == "kilonovad":
            while len(servers) < more:
                servers += self.create(min(guests, more - len(servers)), True)
            time.sleep(REST)
            figures["PSS an instance, KiB"] = (processes.memory()[0] - pss) * 1024 / (more - guests)
        return figures


def verdict(name, nova, ours):
    """The target and whether it is met; nothing where there is none."""
    if name not in TARGETS:
        return ""
    fraction, most = TARGETS[name]
    texts = ([f"1/{1 / fraction:.0f}"] if fraction else []) + ([f"{most:g}"] if most else [])
    met = (not fraction or ours <= nova * fraction) and (not most or ours <= most)
    return f"≤ {' and '.join(texts)}: {'met' if met else 'missed'}"


def row(name, nova, ours):
    if nova is None:
        return f"| {name} | – | {ours:.3g} | – | {verdict(name, 0, ours)} |"
    ratio = f"1/{nova / ours:.1f}" if nova > 0 and ours > 0 else "–"
    return f"| {name} | {nova:.3g} | {ours:.3g} | {ratio} | {verdict(name, nova, ours)} |"


def table(results):
    nova, ours = (results[agent] for agent in AGENTS)
    lines = ["| figure | nova-compute 34.0.0 | kilonovad | ratio | target |", "|---|---|---|---|---|"]
    lines += [row(name, nova.get(name), ours[name]) for name in ours]
    return "\n".join(lines) + "\n"


def keep(text, loads):
    """The table for good: as the result of this run, and in README between its two marks."""
    where = f"{os.cpu_count()} cores; 1-minute load at the start of each agent's part: {', '.join(loads)}"
    head = f"`tests/bench/run`, {time.strftime('%Y-%m-%d %H:%M')}, {where}\n\n"
    (HERE.parent / "results" / "bench.md").write_text(head + text)
    marks = r"(<!-- bench -->\n).*?(<!-- end of bench -->)"
    README.write_text(re.sub(marks, lambda m: m[1] + text + m[2], README.read_text(), flags=re.S))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--guests", type=int, default=20)
    parser.add_argument("--more", type=int, default=60, help="guests up to which the cost of one is measured")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--boots", type=int, default=5)
    parser.add_argument("--kept", type=pathlib.Path, help="a file of figures: an agent in it is not measured again")
    options = parser.parse_args()
    bench = Bench(options)
    results = json.loads(options.kept.read_text()) if options.kept and options.kept.exists() else {}
    loads = []
    for agent in AGENTS:
        loads.append("kept from an earlier run" if results.get(agent) else f"{os.getloadavg()[0]:.1f}")
        results[agent] = results.get(agent) or bench.measure(agent)
        if options.kept:
            options.kept.write_text(json.dumps(results, indent=1))
    text = table(results)
    print(text)
    keep(text, loads)


if __name__ == "__main__":
    main()
