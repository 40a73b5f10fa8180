# SPDX-License-Identifier: Apache-2.0
"""The tests that count, what is put off, and what has been found out: results/AGENT.tsv, a line for each test."""
import csv
import dataclasses
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE / "results" / "tests.txt"  # all that count, whether they have been run or not
PREFIX = re.compile(
    r"(tempest\.api\.compute\.(servers|images|admin|flavors|keypairs|limits|test_quotas|security_groups|volumes|test_networks)"
    r"|tempest\.scenario\.test_(server_basic_ops|server_advanced_ops|server_multinode|minimum_basic|volume_boot_pattern"
    r"|stamp_pattern|encrypted_cinder_volumes|network_basic_ops|network_advanced_server_ops|network_qos_placement"
    r"|security_groups_basic_ops)"
    r"|neutron_tempest_plugin\.scenario\.test_(trunk|qos))\.")


@dataclasses.dataclass
class Result:
    test: str  # dotted name without Tempest's [tags]
    commit: str
    status: str  # ok | failed | skipped
    seconds: float
    reason: str = ""

    @property
    def test_class(self):
        return self.test.rpartition(".")[0]


class Results:
    """What one agent has to show; every new result is on disk at once."""

    def __init__(self, agent):
        self.path = HERE / "results" / f"{agent}.tsv"
        self.rows = {}
        if self.path.exists():
            with self.path.open(newline="") as lines:
                for test, commit, status, seconds, reason in csv.reader(lines, delimiter="\t"):
                    self.rows[test] = Result(test, commit, status, float(seconds), reason)

    def forget(self, tests):
        self.rows = {name: row for name, row in self.rows.items() if name not in tests}

    def add(self, result):
        self.rows[result.test] = result
        new = self.path.with_suffix(".new")
        with new.open("w", newline="") as lines:
            writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
            for row in sorted(self.rows.values(), key=lambda row: row.test):
                writer.writerow([row.test, row.commit, row.status, f"{row.seconds:.1f}", row.reason])
        new.replace(self.path)


def read_list(name):
    """{name of a test or class: the rest of its line}"""
    lines = (HERE / name).read_text().splitlines()
    return dict((line.split(maxsplit=1) + [""])[:2] for line in lines if line and not line.startswith("#"))


def listed(test, names):
    """The entry of names that is the test, or its class or module."""
    return next((name for name in names if test == name or test.startswith(name + ".")), None)
