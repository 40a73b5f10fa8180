#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `kilonovactl numa` with Nova's own functions on random cases.

    numa.py KILONOVACTL [--count N] [--seed N] [--kind KIND] [--seconds S] [--show N]

Needs a Python that has nova (see numa_oracle.py).  Prints "N compared, 0 different" and exits 0 when
every answer is Nova's; --count counts fits, other kinds come along in proportion.
"""
import argparse
import collections
import itertools
import json
import subprocess
import sys
import time

import numa_cases
import numa_oracle
from nova.virt import hardware

CHUNK = 500
# Of vCPUs of one cell, some too large and some of another cell as well, Nova names what its set has first: an order of CPython's.
BY_ORDER = {'ImageNUMATopologyCPUOutOfRange', 'ImageNUMATopologyCPUDuplicates'}
SETS = {'cpuset', 'pcpuset', 'cpuset_reserved', 'pinned_cpus', 'physnets'}


def canonical(value, key=None):
    if isinstance(value, dict):
        return {k: canonical(v, k) for k, v in value.items() if k != 'nova_object.changes' and v is not None}
    if isinstance(value, (list, tuple)):
        if key in SETS:
            return sorted(value)
        return [sorted(x) if key == 'siblings' else canonical(x) for x in value]
    return int(value) if isinstance(value, float) and value == int(value) else value


def same(expected, got):
    if 'error' in expected:
        return expected['error'] == got.get('error')
    return 'result' in got and json.dumps(canonical(expected['result']), sort_keys=True) == \
        json.dumps(canonical(got['result']), sort_keys=True)


def cells_of(case):
    """Sets of vCPUs as flavor or image give them."""
    for entries, key in ((case['flavor'].get('extra_specs') or {}, 'hw:numa_cpus.%d'),
                         (case['image'].get('properties') or {}, 'hw_numa_cpus.%d')):
        for number in itertools.count():
            if key % number not in entries:
                break
            spec = entries[key % number]
            yield hardware.parse_cpu_spec(spec) if isinstance(spec, str) else set(spec)


def has_both_faults(case):
    """Is the first cell that is wrong wrong in both ways?"""
    taken = set()
    for cell in cells_of(case):
        beyond, twice = any(cpu >= case['flavor']['vcpus'] for cpu in cell), bool(cell & taken)
        if beyond or twice:
            return beyond and twice
        taken |= cell
    return False


def is_by_order(case, expected, got):
    return {expected.get('error'), got.get('error')} == BY_ORDER and has_both_faults(case)


def ask(program, cases):
    text = ''.join(json.dumps(c, sort_keys=True) + '\n' for c in cases)
    run = subprocess.run([program, 'numa'], input=text, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        raise SystemExit('%s numa ended with %d' % (program, run.returncode))
    return {a['id']: a for a in map(json.loads, run.stdout.splitlines())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('--count', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--kind')
    parser.add_argument('--seconds', type=float, default=1e9)
    parser.add_argument('--show', type=int, default=5)
    args = parser.parse_args()
    cases, started = numa_cases.Cases(args.seed), time.monotonic()
    compared, fits, different, by_order = collections.Counter(), 0, 0, 0
    outcomes = collections.Counter()
    while fits < args.count and time.monotonic() - started < args.seconds:
        chunk = [json.loads(json.dumps(cases.case(args.kind), sort_keys=True)) for _ in range(CHUNK)]
        answers = ask(args.program, chunk)
        for case in chunk:
            expected, got = numa_oracle.answer(case), answers.get(case['id'], {})
            compared[case['op']] += 1
            outcomes[case['op'], 'error' if 'error' in expected else
                     'fit' if expected['result'] not in (None, False) else 'nofit'] += 1
            fits += args.kind is not None or case['op'] == 'numa_fit_instance_to_host'
            if same(expected, got):
                continue
            if is_by_order(case, expected, got):
                by_order += 1
            else:
                different += 1
                if different <= args.show:
                    print('--- case', json.dumps(case, sort_keys=True))
                    print('  nova', json.dumps(expected, sort_keys=True)[:1500])
                    print('  ours', json.dumps(got, sort_keys=True)[:1500])
    for op in sorted(compared):
        print('%-32s %7d: %d values, %d none, %d errors' % (
            op, compared[op], outcomes[op, 'fit'], outcomes[op, 'nofit'], outcomes[op, 'error']))
    print('seed %d: %d compared, %d different%s' % (
        args.seed, sum(compared.values()), different, ', %d by the order of a set' % by_order if by_order else ''))
    return 0 if sum(compared.values()) and not different else 1


if __name__ == '__main__':
    sys.exit(main())
