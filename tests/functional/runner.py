# SPDX-License-Identifier: Apache-2.0
"""Runs test modules of the current folder one after the other; a line for each test with its seconds ("ok", "not ok", "skipped")."""
import os
import sys
import time
import traceback
import unittest


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def line(self, word, test, text=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"{word} {test.id()} ({seconds:.1f} s){': ' + text if text else ''}", flush=True)

    def addSuccess(self, test):
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("skipped", test, reason)

    def failed(self, test, err):
        self.line("not ok", test)
        traceback.print_exception(*err)
        sys.stdout.flush()

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.failed(test, err)


def main():
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # oslo.messaging names its queues after the process group's leader, which must be alive
    sys.path.insert(0, os.getcwd())
    suite = unittest.TestSuite()
    for name in sys.argv[1:]:
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(name.removesuffix(".py")))
    result = Result()
    sys.stderr = sys.stdout
    suite.run(result)
    print(f"{result.testsRun} run, {len(result.failures) + len(result.errors)} failed, {len(result.skipped)} skipped")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
