#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pure cores beside Nova's own functions, on the same cases, in one run: the functions alone, single-threaded, in
CPU time, their input parsed already.

    cores.py fit|xml PROGRAM [--count N] [--seed N] [CASES.jsonl]

PROGRAM is the built tests/bench/fit_time or xml_time.  Runs under tests/differential/nova_python.  CASES are cases of
`kilonovactl numa` or `kilonovactl xml`; without them N are generated.  Prints rows of tests/results/bench.md; exit 0
when ours takes at most what it may and the medians are 100 times apart.
"""
import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../differential'))

CALLS = 5           # of Nova's function for one case; ours says its own median
RATIO = 100
MOST_US = {'fit': 100, 'xml': 200}


def median_us(prepare):
    """The median of calls, each with objects of its own as Nova changes them; None for a refusal."""
    times = []
    for _ in range(CALLS):
        call = prepare()
        started = time.process_time()
        try:
            call()
        except Exception:
            return None
        times.append((time.process_time() - started) * 1e6)
    return statistics.median(times)


class Ours:
    """PROGRAM answers each case at once and on the CPU that Nova's side runs on, so that both sides of a case are timed
    in the same moment: how fast that CPU is just then, and what else the machine does, meets both."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def us(self, case):
        self.process.stdin.write(json.dumps(case) + '\n')
        ns = int(self.process.stdout.readline())
        return ns / 1000 if ns >= 0 else None


def compare(name, most_us, program, cases, nova_us):
    """Prints the row; is it good enough?"""
    with Ours(program) as ours:
        timed = [(nova_us(case), ours.us(case)) for case in cases]
    timed = [pair for pair in timed if None not in pair]
    nova, ours = (statistics.median(side) for side in zip(*timed))
    met = ours <= most_us and nova / ours >= RATIO
    print('| %s, us p50 of %d cases | %.4g | %.3g | 1/%.0f | ≤ 1/%d and %d: %s |' % (
        name, len(timed), nova, ours, nova / ours, RATIO, most_us, 'met' if met else 'missed'))
    return met


# ---- fits ----


class Fits:
    OP = 'numa_fit_instance_to_host'

    def __init__(self):
        import numa_cases
        import numa_oracle
        from nova.pci import stats, whitelist
        from nova.virt import hardware
        self.cases, self.oracle = numa_cases, numa_oracle
        self.hardware, self.stats, self.whitelist = hardware, stats, whitelist

    def nova_us(self, case):
        load, case = self.oracle.load, copy.deepcopy(case)
        host, limits, pools = load(case, 'host'), load(case, 'limits'), load(case, 'pci_stats')
        requests = self.oracle.requests_of(case)
        made = None if pools is None else self.stats.PciDeviceStats(
            host, stats=pools, dev_filter=self.whitelist.Whitelist())

        def prepare():
            instance = load(case, 'instance')
            return lambda: self.hardware.numa_fit_instance_to_host(
                host, instance, case.get('provider_mapping'), limits=limits, pci_requests=requests, pci_stats=made)

        undo = self.oracle.set_config(case.get('config') or {})
        try:
            return median_us(prepare)
        finally:
            for step in undo:
                step()

    def large(self):
        """8 cells of 32 cores with 2 threads; every policy, one, two and four guest cells."""
        host = self.cases.primitive('NUMATopology', {'cells': [self.large_cell(i) for i in range(8)]})
        for policy in ('shared', 'dedicated', 'mixed'):
            for thread in ((None, 'prefer', 'require', 'isolate') if policy != 'shared' else (None,)):
                for n in (1, 2, 4):
                    guest = [self.guest_cell(i, policy, thread) for i in range(n)]
                    yield {'id': 'large', 'op': self.OP, 'config': {}, 'limits': None, 'pci_requests': None,
                           'pci_stats': None, 'provider_mapping': None, 'host': host,
                           'instance': self.cases.primitive('InstanceNUMATopology', {
                               'cells': guest, 'emulator_threads_policy': None})}

    def large_cell(self, number):
        p = self.cases.primitive
        cpus = list(range(number * 64, number * 64 + 64))
        return p('NUMACell', {
            'id': number, 'cpuset': cpus, 'pcpuset': cpus, 'memory': 65536, 'memory_usage': 1024 * number,
            'cpu_usage': number, 'pinned_cpus': cpus[:2 * number], 'socket': number // 4,
            'siblings': [cpus[k:k + 2] for k in range(0, 64, 2)],
            'mempages': [p('NUMAPagesTopology', {'size_kb': s, 'total': t, 'used': 0, 'reserved': 0})
                         for s, t in ((4, 8388608), (2048, 16384))],
            'network_metadata': p('NetworkMetadata', {'physnets': [], 'tunneled': False})})

    def guest_cell(self, number, policy, thread):
        own = list(range(number * 16, number * 16 + 16))
        dedicated = {'shared': [], 'mixed': own[4:], 'dedicated': own}[policy]
        return self.cases.primitive('InstanceNUMACell', {
            'id': number, 'cpuset': [cpu for cpu in own if cpu not in dedicated], 'pcpuset': dedicated,
            'memory': 8192, 'pagesize': 2048, 'cpu_policy': policy, 'cpu_thread_policy': thread})

    def generated(self, count, seed):
        made = self.cases.Cases(seed)
        return [case for case in (made.fit() for _ in range(count)) if case['host'] and case['instance']]

    def run(self, options, cases):
        cases = [case for case in cases if case['op'] == self.OP] or self.generated(options.count, options.seed)
        return all([compare('one fit, 8 cells x 64 CPUs', MOST_US['fit'], options.program, list(self.large()), self.nova_us),
                    compare('one fit', MOST_US['fit'], options.program, cases, self.nova_us)])


# ---- domain XML ----


class Xmls:
    def __init__(self):
        import xml_cases
        import xml_oracle
        self.cases, self.oracle = xml_cases, xml_oracle.new_oracle()

    def nova_us(self, case):
        made, _ = self.oracle.prepare(case)
        try:
            return median_us(lambda: self.oracle.prepared(made, case))
        except Exception:
            return None

    def generated(self, count, seed):
        generator = self.cases.Generator(self.oracle)
        drawn = (generator.case(number) for number in range(seed, seed + 3 * count))
        return [case for case in drawn if case][:count]

    def run(self, options, cases):
        return compare('one domain XML', MOST_US['xml'], options.program,
                       cases or self.generated(options.count, options.seed), self.nova_us)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('core', choices=MOST_US)
    parser.add_argument('program')
    parser.add_argument('cases', nargs='?', type=argparse.FileType())
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    core = Fits() if options.core == 'fit' else Xmls()
    return 0 if core.run(options, [json.loads(line) for line in options.cases or ()]) else 1


if __name__ == '__main__':
    sys.exit(main())
