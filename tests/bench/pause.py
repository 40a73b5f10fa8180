# SPDX-License-Identifier: Apache-2.0
"""A pause beside snapshots: from Nova's cast until libvirt has paused the guest, without libvirt's own time.

Every sample is taken while all snapshots are under way (their servers have a task before and after it)."""
import argparse
import os
import pathlib
import statistics
import subprocess
import time

from nova import objects
from nova.compute import task_states

from bench import HERE, HOST, LAB, Bench, lab

TIMES = pathlib.Path(os.environ["BENCH_DIR"]) / "libvirt-times"


class PauseBench(Bench):
    def start_agent(self):
        lab("agent", "kilonovad", "stop", HOST)
        subprocess.run([str(LAB / "agent"), "kilonovad", "start", HOST,
                        f"DEFAULT.max_concurrent_snapshots={self.options.snapshots}"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "LD_PRELOAD": os.environ["LIBVIRT_TIME"], "LIBVIRT_TIME_FILE": str(TIMES)})

    def add_image(self):
        path = pathlib.Path(os.environ["BENCH_DIR"]) / "image"
        boot = (pathlib.Path(os.environ["LAB_DIR"]) / "images/hlt.raw").read_bytes()
        path.write_bytes(boot + os.urandom(self.options.mib << 20))
        return self.cloud.create_image("bench-pause", filename=str(path), disk_format="raw", wait=True)

    def servers(self, image, n):
        flavor = self.cloud.compute.find_flavor("tiny").id
        made = [self.cloud.compute.create_server(name=f"bench-{i}", image_id=image.id, flavor_id=flavor, networks="none")
                for i in range(n)]
        return [self.cloud.compute.wait_for_server(s, wait=600, interval=0.5) for s in made]

    def n_busy(self, servers):
        uuids = [server.id for server in servers]
        found = objects.InstanceList.get_by_filters(self.ctxt, {"uuid": uuids}, expected_attrs=[])
        return sum(instance.task_state is not None for instance in found)

    def ask(self, server, method, task, state):
        """(when it was sent, until the record says that it is over)"""
        instance = objects.Instance.get_by_uuid(self.ctxt, server.id)
        instance.task_state = task
        instance.save()
        began = time.monotonic()
        getattr(self.compute, method)(self.ctxt, instance)
        while instance.vm_state != state or instance.task_state:
            time.sleep(0.005)
            instance.refresh()
        return began, time.monotonic() - began

    def pause(self, server):
        """Milliseconds: (until libvirt has paused the guest, of them in libvirt, until the record says so)"""
        TIMES.write_text("")
        began, saved = self.ask(server, "pause_instance", task_states.PAUSING, "paused")
        lines = [line.split() for line in TIMES.read_text().splitlines()]
        (inside, ended), = [rest for name, *rest in lines if name == "virDomainSuspend"]  # the snapshots call, too
        self.ask(server, "unpause_instance", task_states.UNPAUSING, "active")
        return float(ended) - began * 1000, float(inside), saved * 1000

    def pauses(self, server, busy):
        """Samples with no snapshot, or with one of each of the others."""
        samples = []
        while len(samples) < self.options.pauses:
            images = [self.cloud.compute.create_server_image(s.id, "bench-pause") for s in busy]
            while self.n_busy(busy) == len(busy) and len(samples) < self.options.pauses:
                sample = self.pause(server)
                if self.n_busy(busy) == len(busy):
                    samples.append(sample)
            for image in images:
                self.cloud.image.delete_image(image.id)
            while self.n_busy(busy):
                time.sleep(0.5)
        return samples


def line(what, samples):
    own = sorted(until - inside for until, inside, _ in samples)
    columns = [statistics.median(own), own[int(len(own) * 0.9)], own[-1]]
    columns += [statistics.median(sample[n] for sample in samples) for n in (1, 2)]
    return f"| {what} | {len(samples)} | " + " | ".join(f"{value:.1f}" for value in columns) + " |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--snapshots", type=int, default=10)
    parser.add_argument("--pauses", type=int, default=30)
    parser.add_argument("--mib", type=int, default=512)
    options = parser.parse_args()
    bench = PauseBench(options)
    bench.start_agent()
    image = bench.add_image()
    servers = bench.servers(image, options.snapshots + 1)
    try:
        lines = [line(what, bench.pauses(servers[0], busy))
                 for what, busy in (("no", []), (options.snapshots, servers[1:]))]
    finally:
        bench.delete(servers)
        bench.cloud.image.delete_image(image.id)
        lab("agent", "kilonovad", "stop", HOST)
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    text = (f"# A pause beside snapshots\n\n`tests/bench/pause` at {commit.strip()}: milliseconds from Nova's cast to the paused guest "
            f"without libvirt's own time;\nsnapshots are of disks of {options.mib} MiB, all of them under way during each sample. "
            f"Load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.\n\n"
            "| snapshots | pauses | p50 | p90 | most | in libvirt p50 | record says PAUSED p50 |\n|---|---|---|---|---|---|---|\n"
            + "\n".join(lines) + "\n")
    print(text)
    (HERE.parent / "results" / "pause.md").write_text(text)


if __name__ == "__main__":
    main()
