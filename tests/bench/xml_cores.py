#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One domain XML by Nova's function and by ours, on the same cases, in one run: the functions alone, in CPU time,
their input parsed already.

    xml_cores.py XML_TIME [--count N] [--seed N] [CASES.jsonl]

XML_TIME is the built tests/bench/xml_time.  Needs a Python that has nova and what its fixtures need
(tests/differential/run_xml).  CASES are cases of `kilonovactl xml`; without them N are generated.  Exit 0 when ours takes
at most 200 us and the medians are 100 times apart.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../differential'))

import xml_cases    # noqa: E402
import xml_oracle   # noqa: E402


def nova_us(oracle, case):
    """The median of five calls, each on objects of its own as nova changes them; None for a refusal."""
    times = []
    made, _ = oracle.prepare(case)
    try:
        for _ in range(5):
            call = oracle.prepared(made, case)
            started = time.process_time()
            call()
            times.append((time.process_time() - started) * 1e6)
    except Exception:
        return None
    return statistics.median(times)


def ours_us(program, cases):
    with tempfile.NamedTemporaryFile('w', suffix='.jsonl') as file:
        file.write(''.join(json.dumps(c) + '\n' for c in cases))
        file.flush()
        out = subprocess.run([program, file.name], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [int(x) / 1000 for x in out.split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('cases', nargs='?')
    parser.add_argument('--count', type=int, default=100)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    oracle = xml_oracle.new_oracle()
    if args.cases:
        cases = [json.loads(line) for line in open(args.cases)]
    else:
        generator = xml_cases.Generator(oracle)
        drawn = (generator.case(seed) for seed in range(args.seed, args.seed + 3 * args.count))
        cases = [case for case in drawn if case][:args.count]
    timed = [(case, us) for case, us in ((case, nova_us(oracle, case)) for case in cases) if us is not None]
    nova = statistics.median(us for _, us in timed)
    ours = statistics.median(ours_us(args.program, [case for case, _ in timed]))
    print('| domain XML | cases | nova p50 us | kilonova p50 us | ratio |\n|---|---|---|---|---|')
    print('| one guest | %d | %.0f | %.1f | %.0fx |' % (len(timed), nova, ours, nova / ours))
    return 0 if ours <= 200 and nova / ours >= 100 else 1


if __name__ == '__main__':
    sys.exit(main())
