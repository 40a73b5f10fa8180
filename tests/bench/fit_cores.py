#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One fit by Nova's function and by ours, on the same cases, in one run: the functions alone, single-threaded, their
input parsed already.

    fit_cores.py FIT_TIME [--count N] [--seed N] [CASES.jsonl]

FIT_TIME is the built tests/bench/fit_time.  Needs a Python that has nova.  CASES are cases of `kilonovactl numa`;
without them N are generated.  Exit 0 when a fit on 8 cells of 64 CPUs takes at most 100 us and the medians are 100
times apart.
"""
import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../differential'))

import numa_cases    # noqa: E402
import numa_oracle   # noqa: E402
from nova.pci import stats, whitelist   # noqa: E402
from nova.virt import hardware   # noqa: E402

OP = 'numa_fit_instance_to_host'


def large_cases():
    """8 cells of 32 cores with 2 threads; every policy, one and two guest cells."""
    p, cases = numa_cases.primitive, []
    cells = []
    for i in range(8):
        cpus = list(range(i * 64, i * 64 + 64))
        cells.append(p('NUMACell', {
            'id': i, 'cpuset': cpus, 'pcpuset': cpus, 'memory': 65536, 'memory_usage': 1024 * i, 'cpu_usage': i,
            'pinned_cpus': cpus[:2 * i], 'siblings': [cpus[k:k + 2] for k in range(0, 64, 2)], 'socket': i // 4,
            'mempages': [p('NUMAPagesTopology', {'size_kb': s, 'total': t, 'used': 0, 'reserved': 0})
                         for s, t in ((4, 8388608), (2048, 16384))],
            'network_metadata': p('NetworkMetadata', {'physnets': [], 'tunneled': False})}))
    host = p('NUMATopology', {'cells': cells})
    for policy in ('shared', 'dedicated', 'mixed'):
        for thread in ((None, 'prefer', 'require', 'isolate') if policy != 'shared' else (None,)):
            for n in (1, 2, 4):
                guest = []
                for i in range(n):
                    own = list(range(i * 16, i * 16 + 16))
                    guest.append(p('InstanceNUMACell', {
                        'id': i, 'cpuset': own if policy == 'shared' else own[:4] if policy == 'mixed' else [],
                        'pcpuset': [] if policy == 'shared' else own[4:] if policy == 'mixed' else own,
                        'memory': 8192, 'pagesize': 2048, 'cpu_policy': policy, 'cpu_thread_policy': thread}))
                cases.append({'id': 'large', 'op': OP, 'config': {}, 'limits': None, 'pci_requests': None,
                              'pci_stats': None, 'provider_mapping': None, 'host': host,
                              'instance': p('InstanceNUMATopology', {'cells': guest, 'emulator_threads_policy': None})})
    return cases


def nova_us(case):
    load = numa_oracle.load
    host, limits, pools = load(case, 'host'), load(case, 'limits'), load(case, 'pci_stats')
    requests = numa_oracle.requests_of(case)
    made = None if pools is None else stats.PciDeviceStats(host, stats=pools, dev_filter=whitelist.Whitelist())
    undo, times = numa_oracle.set_config(case.get('config') or {}), []
    for _ in range(5):
        instance = load(case, 'instance')
        started = time.perf_counter()
        try:
            hardware.numa_fit_instance_to_host(host, instance, case.get('provider_mapping'), limits=limits,
                                               pci_requests=requests, pci_stats=made)
        except Exception:
            pass
        times.append((time.perf_counter() - started) * 1e6)
    for step in undo:
        step()
    return statistics.median(times)


def ours_us(program, cases):
    with tempfile.NamedTemporaryFile('w', suffix='.jsonl') as file:
        file.write(''.join(json.dumps(c) + '\n' for c in cases))
        file.flush()
        out = subprocess.run([program, file.name], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [int(x) / 1000 for x in out.split()]


def compare(name, program, cases):
    nova = statistics.median(nova_us(copy.deepcopy(c)) for c in cases)
    ours = statistics.median(ours_us(program, cases))
    print('| %s | %d | %.1f | %.2f | %.0fx |' % (name, len(cases), nova, ours, nova / ours))
    return nova, ours


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('cases', nargs='?')
    parser.add_argument('--count', type=int, default=300)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    if args.cases:
        cases = [c for c in map(json.loads, open(args.cases)) if c['op'] == OP]
    else:
        made = numa_cases.Cases(args.seed)
        cases = [c for c in (made.fit() for _ in range(args.count)) if c['host'] and c['instance']]
    print('| fits | cases | nova p50 us | kilonova p50 us | ratio |\n|---|---|---|---|---|')
    nova, ours = compare('8 cells x 64 CPUs', args.program, large_cases())
    small_nova, small_ours = compare('as the public cases', args.program, cases)
    return 0 if ours <= 100 and nova / ours >= 100 and small_nova / small_ours >= 100 else 1


if __name__ == '__main__':
    sys.exit(main())
