# SPDX-License-Identifier: Apache-2.0
"""Writes RESULTS.md: what results/ says of both agents, side by side."""
import collections

from results import HERE, TESTS, Results, listed, read_list

AGENTS = ("nova-compute", "kilonovad")
HEAD = """\
# Tempest 47.0.0 in the lab: nova-compute 34.0.0 and kilonovad

    tests/tempest/run nova-compute --all
    tests/tempest/run kilonovad --all
    tests/tempest/run --report

One control plane (OpenStack 2026.2, `tests/lab`), one compute host, one of the two agents at a time. QEMU runs without
KVM. `run_validation = true`: Tempest logs in to its guests by ssh on their fixed addresses, which are of the lab's flat provider network.
Volumes are on RBD (in files for the older of nova-compute's rows), floating addresses are those of Neutron's L3 agent,
security groups those of its Open vSwitch firewall.
Guests get no more packets after a reboot or a suspend (with either agent) or a rescue (with nova-compute), while `ovs-vswitchd` (userspace data path) says
"error receiving data from tap...: Network is down" of their old tap: most of what fails.
nova-compute's two rescues that fail ran with `TEMPEST_SSH_TIMEOUT=80`.
Cinder refuses `test_encrypted_cinder_volumes_cryptsetup` on RBD before an agent hears of it ("Provider plain not supported").
The tests: `tempest.api.compute.servers`, `.images`, `.admin`, `.flavors`, `.keypairs`, `.limits`, `.test_quotas`, `.security_groups`, `.volumes`,
`.test_networks`, `tempest.scenario.test_server_basic_ops`, `test_server_advanced_ops`, `test_server_multinode`, `test_minimum_basic`,
`test_volume_boot_pattern`, `test_stamp_pattern`, `test_encrypted_cinder_volumes`, `test_network_basic_ops`, `test_network_advanced_server_ops`,
`test_network_qos_placement` and `test_security_groups_basic_ops`; of neutron-tempest-plugin 3.3.0 `scenario.test_trunk` and `test_qos`.

"""
STATUS = {"ok": "passed", "failed": "failed", "skipped": "skipped", "later": "later", "none": "not run"}
# Of tempest.conf: what is off, and why.  Tempest's own words for a skip say only that it is off.
OFF = {
    "cold_migration, live_migration, min_compute_nodes = 1": "the lab has one compute host",
    "change_password": "it asks for an agent in each guest of Tempest's: tests/functional/test_guest_agent.py has one",
    "personality": "the guest writes no injected files; the API has none from microversion 2.57 on",
    "spice_console": "the host offers VNC",
    "certified_image_ref": "no signed images",
}


def status(test, results, later):
    if results.path.stem == "kilonovad" and listed(test, later):
        return "later"
    return results.rows[test].status if test in results.rows else "none"


def counts(statuses):
    found = collections.Counter(statuses)
    return ", ".join(f"{found[key]} {word}" for key, word in STATUS.items() if found[key]) or "-"


def class_table(classes, results, later):
    yield "| class | " + " | ".join(AGENTS) + " | commit |"
    yield "|---|---|---|---|"
    for name, tests in classes.items():
        cells = [counts(status(test, one, later) for test in tests) for one in results]
        commits = {results[1].rows[test].commit for test in tests if test in results[1].rows}
        yield f"| {name.removeprefix('tempest.')} | {' | '.join(cells)} | {', '.join(sorted(commits)) or '-'} |"


def reasons(tests, results, wanted):
    """Lines "reason: tests", the tests of a class together."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for test in tests:
        row = results.rows.get(test)
        if row and row.status == wanted:
            found[row.reason][row.test_class].append(test.rpartition(".")[2])
    for reason, classes in sorted(found.items()):
        yield f"- {reason or '?'}"
        for name, members in classes.items():
            yield f"  - `{name.removeprefix('tempest.')}`: {', '.join(members)}"


def main():
    later = read_list("later.txt")
    results = [Results(agent) for agent in AGENTS]
    tests = sorted({*TESTS.read_text().split(), *results[0].rows, *results[1].rows})
    classes = collections.defaultdict(list)
    for test in tests:
        classes[test.rpartition(".")[0]].append(test)
    lines = ["| | " + " | ".join(AGENTS) + " |", "|---|---|---|"]
    for key, word in STATUS.items():
        numbers = [sum(status(test, one, later) == key for test in tests) for one in results]
        lines.append(f"| {word} | {numbers[0]} | {numbers[1]} |")
    both = [[status(test, one, later) for one in results] for test in tests]
    lines.append(f"\nOf the {sum(a == 'ok' for a, _ in both)} tests that pass with nova-compute, "
                 f"{sum(a == b == 'ok' for a, b in both)} pass with kilonovad, "
                 f"{sum(a == 'ok' and b == 'later' for a, b in both)} wait for their issue (`later.txt`), "
                 f"{sum(a == 'ok' and b in ('failed', 'skipped') for a, b in both)} do not pass, "
                 f"{sum(a == 'ok' and b == 'none' for a, b in both)} have not been run yet.")
    lines += ["\n## Classes\n", *class_table(classes, results, later)]
    for agent in results:
        lines += [f"\n## Failed with {agent.path.stem}\n", *(list(reasons(tests, agent, "failed")) or ["None."])]
    lines += ["\n## Skipped\n\nWhat `tempest.conf` has off, and why:\n"]
    lines += [f"- {option}: {why}" for option, why in OFF.items()]
    for agent in results:
        lines += [f"\nTempest's reasons with {agent.path.stem}:\n", *reasons(tests, agent, "skipped")]
    lines += ["\n## Later\n", "| test | issue | needs |", "|---|---|---|"]
    for name, issue in later.items():
        number, needs = issue.split(maxsplit=1)
        lines.append(f"| {name.removeprefix('tempest.')} | {number} | {needs} |")
    (HERE / "RESULTS.md").write_text(HEAD + "\n".join(lines) + "\n")


main()
