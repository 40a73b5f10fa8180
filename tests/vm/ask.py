# SPDX-License-Identifier: Apache-2.0
"""Commands in the test VM, which tests/vm/inside runs one after the other."""
import os
import pathlib
import secrets
import time

SHARE = pathlib.Path(os.environ["KILONOVA_VM_SHARE"])


def run(command, seconds=300):
    """(exit status, output)"""
    path = str(SHARE / f"command-{secrets.token_hex(8)}")
    pathlib.Path(f"{path}.new").write_text(command, encoding="utf-8")
    os.rename(f"{path}.new", f"{path}.ask")
    status = pathlib.Path(f"{path}.status")
    deadline = time.monotonic() + seconds
    while not status.exists():
        if (SHARE / "status").exists() or time.monotonic() > deadline:
            raise TimeoutError(f"no answer from the VM to: {command}")
        time.sleep(0.1)
    return int(status.read_text(encoding="utf-8")), pathlib.Path(f"{path}.out").read_text(encoding="utf-8")
