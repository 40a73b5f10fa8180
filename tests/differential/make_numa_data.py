#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_numa_data.py [--seed N] [--count N]: tests/unit/data/numa/cases.jsonl, generated cases of every operation with
Nova's own answers: those of N that took Nova through a step (from one line to another) that no earlier one had taken,
and one of each outcome.  Needs a Python that has nova."""
import argparse
import json
import os
import re
import sys

import numa_cases
import numa_oracle

DECIDING = re.compile(r'/nova/(virt/hardware|pci/\w+|objects/(numa|instance_numa|image_meta|instance_pci_requests|'
                      r'pci_device\w*))\.py$')
LONGEST = 12000


class Steps:
    """The steps of the code that decides which were taken so far."""

    def __init__(self):
        self.known, self.new = set(), 0

    def run(self, function, case):
        """The function's answer, and how many steps were new."""
        self.new = 0
        sys.settrace(self.enter)
        try:
            answer = function(case)
        finally:
            sys.settrace(None)
        return answer, self.new

    def enter(self, frame, event, arg):
        if not DECIDING.search(frame.f_code.co_filename):
            return None
        last = [frame.f_lineno]

        def step(frame, event, arg):
            taken = (frame.f_code, last[0], frame.f_lineno)
            last[0] = frame.f_lineno
            if taken not in self.known:
                self.known.add(taken)
                self.new += 1
            return step
        return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=7)
    parser.add_argument('--count', type=int, default=8000)
    args = parser.parse_args()
    cases, steps, outcomes, lines = numa_cases.Cases(args.seed), Steps(), set(), []
    for _ in range(args.count):
        case = json.loads(json.dumps(cases.case(), sort_keys=True))
        if len(json.dumps(case)) > LONGEST:
            continue
        answer, new = steps.run(numa_oracle.answer, case)
        outcome = case['op'], answer.get('error') or ('none' if answer['result'] in (None, False) else 'value')
        if not new and outcome in outcomes:
            continue
        outcomes.add(outcome)
        case['id'] = 'n%d' % len(lines)
        case['expect'] = {k: answer[k] for k in ('result', 'error') if k in answer}
        lines.append(json.dumps(case, sort_keys=True))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../unit/data/numa/cases.jsonl')
    with open(path, 'w') as out:
        out.write('\n'.join(lines) + '\n')
    print('%d cases, %d outcomes, %d steps' % (len(lines), len(outcomes), len(steps.known)))


if __name__ == '__main__':
    main()
