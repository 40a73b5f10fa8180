# SPDX-License-Identifier: Apache-2.0
"""runner.py WORK AGENT COMMIT --all [REGEX] | --smoke | REGEX: see run."""
import os
import pathlib
import re
import subprocess
import sys

import subunit
import testtools

from results import PREFIX, TESTS, Result, Results, listed, read_list

STATUS = {"success": "ok", "fail": "failed", "uxsuccess": "failed", "xfail": "ok", "skip": "skipped"}
WORD = {"ok": "ok", "failed": "not ok", "skipped": "skipped"}
# Those that need routers or floating addresses.
ROUTED = re.compile(
    r"tempest\.scenario\.test_(network_|security_groups_basic_ops|stamp_pattern|volume_boot_pattern\S*\.test_volume_boot_pattern\b)"
    r"|neutron_")
FIXTURE = re.compile(r"(setUpClass|tearDownClass) \((.*)\)")


class Tempest:
    def __init__(self, work):
        self.work = work
        self.program = pathlib.Path(sys.executable).parent / "tempest"

    def command(self, conf, *arguments):
        return [self.program, "run", "--config-file", self.work / conf, *arguments]

    def tests(self):
        """{name: name with tags} of all that count."""
        out = subprocess.run(self.command("tempest.conf", "--list-tests"), cwd=self.work, check=True, capture_output=True,
                             text=True)
        return {line.partition("[")[0]: line for line in out.stdout.splitlines() if PREFIX.match(line)}

    def run(self, ids, on_test):
        """Runs them and calls on_test with each as it ends."""
        for conf, part in (("tempest.conf", [one for one in ids if not ROUTED.match(one)]),
                           ("tempest-routed.conf", [one for one in ids if ROUTED.match(one)])):
            if part:
                self.run_with(conf, part, on_test)

    def run_with(self, conf, ids, on_test):
        chosen = self.work / "tests"
        chosen.write_text("".join(f"{one}\n" for one in ids))
        process = subprocess.Popen(
            self.command(conf, "--subunit", "--load-list", chosen,
                         "--concurrency", os.environ.get("TEMPEST_CONCURRENCY", "2")),
            cwd=self.work, stdout=subprocess.PIPE, stderr=(self.work / "stderr").open("w"))
        result = testtools.StreamToDict(on_test)
        result.startTestRun()
        subunit.ByteStreamToStreamResult(process.stdout, non_subunit_name="stdout").run(result)
        process.wait()


def why(test):
    """The reason of a skip, or the last line that says something of a failure's traceback."""
    details = {name: content.as_text() for name, content in test["details"].items() if name != "stdout"}
    if test["status"] == "skip":
        return details.get("reason", "").strip()
    lines = [line for line in details.get("traceback", "").splitlines() if re.match(r"[\w.]+(:|$)|Details: ", line)]
    return re.sub(r"\s+", " ", " ".join(lines[-2:]))[:400]


def results_of(test, commit, chosen):
    """What a finished test says, or the set-up of a class about all of its tests."""
    if test["status"] not in STATUS or not all(test["timestamps"]):
        return
    began, ended = test["timestamps"]
    seconds = (ended - began).total_seconds()
    name = test["id"].partition("[")[0]
    fixture = FIXTURE.match(test["id"])
    if fixture and fixture[1] == "tearDownClass":
        names = [f"{fixture[2]}.tearDownClass"]
    elif fixture:
        names = [one for one in chosen if one.rpartition(".")[0] == fixture[2]]
    else:
        names = [name] if name in chosen else []
    for one in names:
        yield Result(one, commit, STATUS[test["status"]], seconds, why(test))


def choose(tests, agent, commit, known, arguments):
    if arguments == ["--smoke"]:
        smoke = read_list("smoke.txt")
        return [name for name in tests if listed(name, smoke)]
    missing_only = arguments[0] == "--all"
    wanted = re.compile((arguments[1:] or [""])[0] if missing_only else arguments[0])
    later = read_list("later.txt") if agent == "kilonovad" else {}
    return [name for name in tests if wanted.search(name) and not listed(name, later) and
            not (missing_only and name in known and known[name].commit == commit)]


def main(work, agent, commit, *arguments):
    tempest = Tempest(pathlib.Path(work))
    tests = tempest.tests()
    if arguments[0] != "--smoke":
        TESTS.write_text("".join(f"{name}\n" for name in sorted(tests)))
    results = Results(agent)
    chosen = choose(tests, agent, commit, results.rows, list(arguments))
    counts = dict.fromkeys(WORD, 0)
    seen = set()

    def on_test(test):
        for result in results_of(test, commit, chosen):
            seen.add(result.test)
            counts[result.status] += 1
            print(f"{WORD[result.status]} {result.test} ({result.seconds:.1f} s) {result.reason}".rstrip(), flush=True)
            if arguments[0] != "--smoke":
                results.add(result)

    results.forget({f"{name.rpartition('.')[0]}.tearDownClass" for name in chosen})
    if chosen:
        tempest.run([tests[name] for name in chosen], on_test)
    lost = set(chosen) - seen
    for name in sorted(lost):
        print(f"not ok {name}: no result, see {work}/stderr")
    print(f"{agent}: {counts['ok']} passed, {counts['failed'] + len(lost)} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or lost else 0


sys.exit(main(*sys.argv[1:]))
