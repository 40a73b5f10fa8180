#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_numa_data.py [--seed N]: tests/unit/data/numa/cases.jsonl, generated cases of every operation with
Nova's own answers, some of each outcome.  Needs a Python that has nova."""
import argparse
import json
import os

import numa_cases
import numa_oracle

EACH = 12


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=7)
    args = parser.parse_args()
    cases, kept, lines = numa_cases.Cases(args.seed), {}, []
    for _ in range(6000):
        case = json.loads(json.dumps(cases.case(), sort_keys=True))
        answer = numa_oracle.answer(case)
        outcome = answer.get('error') or ('none' if answer['result'] in (None, False) else 'value')
        key = (case['op'], outcome)
        limit = EACH if outcome in ('none', 'value') else 2
        if kept.get(key, 0) >= limit or len(json.dumps(case)) > 6000:
            continue
        kept[key] = kept.get(key, 0) + 1
        case['id'] = 'n%d' % len(lines)
        case['expect'] = {k: answer[k] for k in ('result', 'error') if k in answer}
        lines.append(json.dumps(case, sort_keys=True))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../unit/data/numa/cases.jsonl')
    with open(path, 'w') as out:
        out.write('\n'.join(lines) + '\n')
    print('%d cases, %d outcomes' % (len(lines), len(kept)))


if __name__ == '__main__':
    main()
