# SPDX-License-Identifier: Apache-2.0
"""The crash matrix: see run.

Each operation is done once with the agent writing down which fail-points it passes; then once for each of those
passes with the agent killing itself there. What the restarted agent must come to stands beside each operation."""
import argparse
import ctypes
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time

import openstack

import operations
from audit import Audit
from lab import HOST, LAB, run

WORK = pathlib.Path(os.environ["KILONOVA_CRASH_DIR"])
RESULTS = WORK / "results.tsv"
TRACE = WORK / "trace"
SOCKET = pathlib.Path(os.environ["LAB_DIR"]) / "hosts" / HOST / "state" / "kilonovad.sock"
READS = re.compile(r"get|obj_load|refresh|-$")  # calls of the conductor that change nothing
SETTLE_S = 60   # a task may take so long after the restart
POINTS_A_TURN = 5  # of an operation, when there is little time
TRIES = 3
LEFT_S = 20     # what is being removed may be seen for so long


def ask(**request):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(SOCKET))
        link.sendall(json.dumps(request).encode() + b"\n")
        said = json.loads(link.makefile().readline())
    if "error" in said:
        raise RuntimeError(said["error"])
    return said["result"]


def until(seconds, check):
    """What check() returned once it was true; None after the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.2)
    return None


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Agent:
    """The daemon with fail-points, started without the lab's help: that happens hundreds of times."""

    def __init__(self):
        lab = pathlib.Path(os.environ["LAB_DIR"])
        self.command = [os.environ["KILONOVAD"], "--config-file", lab / "etc" / f"nova-{HOST}.conf"]
        self.log = lab / "log" / f"kilonovad-{HOST}.log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_us)
        if not until(60, lambda: self.state() == "running"):
            raise RuntimeError("the agent does not start")

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def ensure(self):
        if not self.is_alive():
            self.start()

    def state(self):
        try:
            return ask(command="status")["state"]
        except OSError:
            return None

    def stop(self):
        if self.is_alive():
            self.process.terminate()
            self.process.wait()


def trace(operation, bench):
    """The passes that an undisturbed run of the operation makes: [(point#n, detail)]."""
    server = operation.prepare(bench)
    TRACE.write_text("")
    ask(command="fail-point", spec=f"{operation.method}/trace")
    operation.act(bench, server)
    if not until(SETTLE_S, lambda: operation.is_done(bench, server)):
        raise RuntimeError(f"{operation.name} does not work undisturbed: {bench.describe(server)}")
    time.sleep(0.5)
    ask(command="fail-point", spec=None)
    passes = []
    for line in TRACE.read_text().splitlines():
        point, _, detail = line.partition(" ")
        if not (point.startswith("conductor.call") and READS.match(detail)):
            passes.append((point, detail))
    return passes


def settled(bench, server):
    """The server's record once nothing is under way any more; {} when it is gone."""
    jobs = [job for job in ask(command="status")["jobs"] if job["instance"] == server.id]
    fresh = bench.get(server)
    if fresh is None:
        return {"status": "gone"}
    return None if jobs or fresh["OS-EXT-STS:task_state"] else fresh


def ended(operation, bench, server):
    """The record once it is one that the operation may end in: a request that was not acknowledged comes again."""
    record = settled(bench, server)
    return record if record and record["status"] in operation.outcomes else None


def left(bench):
    """Leftovers that stay, as text."""
    found = {}

    def is_clean():
        found.clear()
        found.update({k: v for k, v in Audit(bench.cloud, HOST, 0).look().items() if v})
        return not found
    return "" if until(LEFT_S, is_clean) else json.dumps(found)


def run_point(operation, point, bench, agent):
    """(verdict, what was seen): "ok", "not reached", "leak", "stuck", "wrong"."""
    server = operation.prepare(bench)
    ask(command="fail-point", spec=f"{operation.method}/{point}")
    operation.act(bench, server)
    if not until(SETTLE_S, lambda: not agent.is_alive() or operation.is_done(bench, server)):
        return "stuck", "neither killed nor done: " + bench.describe(server)
    if not until(1, lambda: not agent.is_alive()):
        ask(command="fail-point", spec=None)
        return "not reached", ""
    began = time.monotonic()
    agent.start()
    final = until(SETTLE_S, lambda: ended(operation, bench, server)) or settled(bench, server)
    if not final:
        return "stuck", bench.describe(server)
    what = f"{final['status']} after {time.monotonic() - began:.1f} s"
    if final["status"] not in operation.outcomes:
        return "wrong", what + ": " + bench.describe(server)
    found = left(bench) + " ".join(operation.leftovers(bench))
    return ("leak", what + ": " + found) if found else ("ok", what)


def tidy():
    subprocess.run([str(LAB / "tidy"), HOST], stdout=subprocess.DEVNULL, check=False)


class Results:
    """operation, point, commit, verdict, what was seen: a line each."""

    def __init__(self):
        self.rows = {}
        if RESULTS.exists():
            for line in RESULTS.read_text().splitlines():
                operation, point, commit, verdict, seen = line.split("\t")
                self.rows[operation, point] = (commit, verdict, seen)

    def add(self, operation, point, commit, verdict, seen):
        self.rows[operation, point] = (commit, verdict, seen)
        with RESULTS.open("a") as file:
            print(operation, point, commit, verdict, seen, sep="\t", file=file)


def try_point(operation, point, bench, agent):
    """As run_point(); begun anew, and said so, when another service spoilt it."""
    for _ in range(TRIES):
        agent.ensure()
        try:
            verdict, seen = run_point(operation, point, bench, agent)
        except Exception as error:
            verdict, seen = "wrong", f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
        if verdict in ("ok", "not reached"):
            break
        reason = operation.spoilt()
        agent.ensure()
        bench.discard()
        tidy()
        if not reason:
            break
        print(f"# {operation.name}/{point} again: {reason}", flush=True)
    return verdict, seen


def points_of(operation, bench, arguments):
    path = WORK / f"points-{operation.name}"
    if arguments.again or not path.exists():
        passes = trace(operation, bench)
        path.write_text("".join(f"{point} {detail}\n" for point, detail in passes))
    return [tuple(line.split(" ", 1)) for line in path.read_text().splitlines()]


def choose_operations(names, bench):
    """Those named on the command line, in that order; else all that the lab can do."""
    if not names:
        has_ceph = bench.has_ceph()
        return [operation for operation in operations.OPERATIONS if has_ceph or not operation.needs_ceph]
    known = {operation.name: operation for operation in operations.OPERATIONS}
    return list({known[name.split("/")[0]]: None for name in names})


def is_wanted(names, operation, point):
    return not names or operation.name in names or f"{operation.name}/{point}" in names


def plan(arguments, bench, chance):
    """Yields (operation, point, detail); point None: the operation itself does not work."""
    chosen = choose_operations(arguments.only, bench)
    if chance:
        chance.shuffle(chosen)
    for operation in chosen:
        try:
            points = points_of(operation, bench, arguments)
        except Exception as error:
            yield operation, None, f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
            continue
        if chance:
            points = chance.sample(points, min(len(points), POINTS_A_TURN))
        for point, detail in points:
            if is_wanted(arguments.only, operation, point):
                yield operation, point, detail


def report(operation, point, detail, verdict, seen):
    word = "ok" if verdict in ("ok", "not reached") else "not ok"
    print(f"{word} {operation.name}/{point} ({detail}): {verdict}{', ' + seen if seen else ''}", flush=True)


def run_all(arguments, bench, agent):
    """The verdicts."""
    chance = random.Random(arguments.seed) if arguments.minutes else None
    deadline = time.monotonic() + (arguments.minutes or 1e9) * 60
    commit = run("git", "rev-parse", "--short", "HEAD", check=False).stdout.strip() or "-"
    results = Results()
    done = []
    for operation, point, detail in plan(arguments, bench, chance):
        if time.monotonic() > deadline:
            break
        known = results.rows.get((operation.name, point))
        if point is None:
            known = (commit, "wrong", detail)
            agent.ensure()
            bench.discard()
            tidy()
        elif chance or arguments.again or not known or known[1] not in ("ok", "not reached"):
            known = (commit, *try_point(operation, point, bench, agent))
            results.add(operation.name, point, *known)
        report(operation, point, detail, *known[1:])
        done.append(known[1])
    bench.close()
    if left(bench):
        print("not ok at the end: " + left(bench))
        done.append("leak")
    return done


def write_report():
    """results.tsv and the details of the traces as Markdown: a line a point."""
    rows = Results().rows
    reached = {key: row for key, row in rows.items() if row[1] != "not reached"}
    count = {verdict: sum(row[1] == verdict for row in reached.values()) for verdict in ("leak", "stuck", "wrong")}
    print("# kill -9 at every fail-point\n\nMade by `tests/crash/run`, this table by `tests/crash/run --report`: the agent"
          " kills itself at the point, is started again, and the audit looks for what is left.\n")
    print(f"**{len(reached)} points, {count['leak']} leaks, {count['stuck']} stuck, {count['wrong']} wrong**\n")
    print("| operation | point | at | recovery seen | commit |\n|---|---|---|---|---|")
    for operation in operations.OPERATIONS:
        path = WORK / f"points-{operation.name}"
        for line in path.read_text().splitlines() if path.exists() else []:
            point, detail = line.split(" ", 1)
            commit, verdict, seen = rows.get((operation.name, point), ("-", "not reached", ""))
            if verdict != "not reached":
                detail = "" if detail == "-" else re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", detail)
                print(f"| {operation.name} | {point} | {detail} | {verdict}: {seen} | {commit} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("only", nargs="*")
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    if arguments.report:
        write_report()
        return 0
    os.environ["KILONOVA_FAIL_TRACE"] = str(TRACE)
    run(LAB / "agent", "kilonovad", "start", HOST)  # which also writes its configuration
    run(LAB / "agent", "kilonovad", "stop", HOST)
    agent = Agent()
    agent.start()
    tidy()
    done = run_all(arguments, operations.Bench(openstack.connect()), agent)
    agent.stop()
    run(LAB / "agent", "kilonovad", "start", HOST)
    n = sum(verdict != "not reached" for verdict in done)
    print(f"{n} points, {done.count('leak')} leaks, {done.count('stuck')} stuck, {done.count('wrong')} wrong")
    return 0 if n and not {"leak", "stuck", "wrong"} & set(done) else 1


if __name__ == "__main__":
    sys.exit(main())
