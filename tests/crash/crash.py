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
    fresh = bench.get(server)
    if fresh is None:
        return {"status": "gone"}
    jobs = [job for job in ask(command="status")["jobs"] if job["instance"] == server.id]
    return None if jobs or fresh["OS-EXT-STS:task_state"] else fresh


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
    final = until(SETTLE_S, lambda: settled(bench, server))
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
    agent.ensure()
    try:
        verdict, seen = run_point(operation, point, bench, agent)
    except Exception as error:
        verdict, seen = "wrong", f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
    if verdict not in ("ok", "not reached"):
        agent.ensure()
        bench.discard()
        tidy()
    return verdict, seen


def points_of(operation, bench, arguments):
    path = WORK / f"points-{operation.name}"
    if arguments.again or not path.exists():
        passes = trace(operation, bench)
        path.write_text("".join(f"{point} {detail}\n" for point, detail in passes))
    return [tuple(line.split(" ", 1)) for line in path.read_text().splitlines()]


def wanted(arguments, operation, point=None):
    """Is it among those named on the command line?"""
    if not arguments.only:
        return True
    return any(name == operation.name or (point is None and name.startswith(operation.name + "/")) or
               name == f"{operation.name}/{point}" for name in arguments.only)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("only", nargs="*")
    arguments = parser.parse_args()
    commit = run("git", "rev-parse", "--short", "HEAD", check=False).stdout.strip() or "-"
    os.environ["KILONOVA_FAIL_TRACE"] = str(TRACE)
    deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    run(LAB / "agent", "kilonovad", "start", HOST)  # which also writes its configuration
    run(LAB / "agent", "kilonovad", "stop", HOST)
    agent = Agent()
    agent.start()
    tidy()
    bench = operations.Bench(openstack.connect())
    results = Results()
    todo = []
    chosen = [o for o in operations.OPERATIONS if wanted(arguments, o)]
    if deadline:
        random.Random(arguments.seed).shuffle(chosen)
    for operation in chosen:
        if deadline and todo and time.monotonic() > deadline - 60 * arguments.minutes * 0.7:
            break
        try:
            passes = points_of(operation, bench, arguments)
        except Exception as error:
            print(f"not ok {operation.name}: {error}", flush=True)
            results.add(operation.name, "undisturbed", commit, "wrong", str(error).replace("\n", " ")[:500])
            tidy()
            continue
        todo += [(operation, point, detail) for point, detail in passes if wanted(arguments, operation, point)]
    if deadline:
        random.Random(arguments.seed).shuffle(todo)
    else:  # what has happened says more than what was about to
        todo.sort(key=lambda row: ":before" in row[1])
    done = []
    for operation, point, detail in todo:
        if deadline and time.monotonic() > deadline:
            break
        known = results.rows.get((operation.name, point))
        if deadline or arguments.again or not known or known[1] not in ("ok", "not reached"):
            known = (commit, *try_point(operation, point, bench, agent))
            results.add(operation.name, point, *known)
        word = "ok" if known[1] in ("ok", "not reached") else "not ok"
        print(f"{word} {operation.name}/{point} ({detail}): {known[1]}{', ' + known[2] if known[2] else ''}", flush=True)
        done.append(known[1])
    bench.discard()
    if left(bench):
        print("not ok at the end: " + left(bench))
        done.append("leak")
    agent.stop()
    run(LAB / "agent", "kilonovad", "start", HOST)
    n = sum(v != "not reached" for v in done)
    print(f"{n} points, {done.count('leak')} leaks, {done.count('stuck')} stuck, {done.count('wrong')} wrong")
    return 0 if n and not {"leak", "stuck", "wrong"} & set(done) else 1


if __name__ == "__main__":
    sys.exit(main())
