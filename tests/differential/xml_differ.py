#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random domain XMLs, Nova's beside ours: every element, attribute and text in Nova's order (but for extra specs
and image properties in the metadata, which are a dict's), errors by class and message.

    xml_differ.py PROGRAM [--seed FIRST] [--count N] [--seconds LIMIT] [--write CASES.jsonl]
    xml_differ.py PROGRAM --cases CASES.jsonl

Draws seeds until N of them made a case (nova's API refuses the others) or the time is up.  Runs in a Python that
has nova and what its fixtures need: tests/differential/run_xml.
"""
import argparse
import collections
import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import xml_cases
import xml_oracle

BATCH = 200
CREATED = '{http://openstack.org/xmlns/libvirt/nova/1.1}creationTime'


def number(text):
    """0x0a and 0xA are one address."""
    return int(text, 16) if text.startswith('0x') else text


def flat(element, path=''):
    """A document as lines, to compare and to show."""
    path = path + '/' + element.tag.rpartition('}')[2]
    attributes = sorted((key, number(value)) for key, value in element.attrib.items())
    yield '%s %s %r' % (path, attributes, (element.text or '').strip())
    children = [list(flat(child, path)) for child in element if child.tag != CREATED]
    if path.endswith(('/extraSpecs', '/properties')):
        children.sort()
    for lines in children:
        yield from lines


def failure(answer):
    """Class and message; without what a set's order decides and what lxml says of a type."""
    message = re.sub(r"{('[^}]*')}", lambda m: '{%s}' % ', '.join(sorted(m[1].split(', '))),
                     answer.get('message', ''))
    if answer.get('error') == 'StopIteration':
        message = ''
    return '%s: %s' % (answer.get('error', 'XML'), re.sub("unicode, got '.*'", 'unicode', message))


def difference(nova, ours):
    """None, or what differs."""
    if 'error' in nova or 'error' in ours:
        wanted, got = failure(nova), failure(ours)
        return None if wanted == got else ['- ' + wanted, '+ ' + got]
    wanted, got = (list(flat(ET.fromstring(answer['xml']))) for answer in (nova, ours))
    if wanted == got:
        return None
    a, b = collections.Counter(wanted), collections.Counter(got)
    lines = ['- ' + line for line in (a - b).elements()] + ['+ ' + line for line in (b - a).elements()]
    return lines or ['the same elements in another order']


def ask(program, cases):
    lines = ''.join(json.dumps(case) + '\n' for case in cases)
    answer = subprocess.run([program, 'xml'], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def drawn(generator, options):
    made, seed, started = 0, options.seed, time.monotonic()
    while made < options.count and time.monotonic() - started < options.seconds:
        case = generator.case(seed)
        seed += 1
        if case is not None:
            made += 1
            yield case


def batches(cases):
    batch = []
    for case in cases:
        batch.append(case)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--count', type=int, default=2000)
    parser.add_argument('--seconds', type=float, default=float('inf'))
    parser.add_argument('--cases')
    parser.add_argument('--write')
    options = parser.parse_args()
    oracle = xml_oracle.new_oracle()
    if options.cases:
        cases = (json.loads(line) for line in open(options.cases))
    else:
        cases = drawn(xml_cases.Generator(oracle), options)
    kept = open(options.write, 'w') if options.write else None
    compared = refused = different = 0
    for batch in batches(cases):
        for case, ours in zip(batch, ask(options.program, batch), strict=True):
            nova = oracle.answer(case)
            lines = difference(nova, ours)
            compared += 1
            refused += 'error' in nova
            if kept:
                kept.write(json.dumps(case) + '\n')
            if lines:
                different += 1
                print('not ok xml %s' % case['id'], *lines[:20], sep='\n    ', flush=True)
    print('%d domain XMLs compared with nova %s, %d of them refused by it; %d differ' % (
        compared, xml_oracle.NOVA_VERSION, refused, different))
    if compared and not different:
        print('ok domain XML equals nova\'s')
    return 0 if compared and not different else 1


if __name__ == '__main__':
    sys.exit(main())
