# SPDX-License-Identifier: Apache-2.0
"""agent/methods.c beside nova.compute.manager.ComputeManager of the lab: names, arguments, decorators, and the
README's list of what is missing (UPDATE=1 rewrites it)."""
import ast
import importlib.util
import json
import os
import pathlib
import re
import unittest

from lab import run

TOP = pathlib.Path(__file__).resolve().parents[2]
README = TOP / "README.md"
MARKS = ("<!-- missing methods -->\n", "<!-- end of missing methods -->\n")

# Public, but reached only through external_instance_event.
NOT_SENT = {"extend_volume", "power_update"}
DECORATORS = {"wrap_instance_event": "EVENT", "wrap_instance_fault": "FAULT", "reverts_task_state": "REVERT_TASK",
              "errors_out_migration": "FAIL_MIGRATION"}
# The half of a method that does the work has some of its decorators, or what is one elsewhere as a context.
INNER = {"build_and_run_instance": "_do_build_and_run_instance", "prep_resize": "_do_prep_resize",
         "resize_instance": "_resize_instance"}

# Beyond Nova's: a guest lets go of one device at a time.
OWN_FLAGS = {"attach_interface": {"SERIAL"}, "detach_interface": {"SERIAL"}}


def manager_functions():
    source = pathlib.Path(importlib.util.find_spec("nova.compute.manager").origin).read_text()
    manager = next(node for node in ast.parse(source).body
                   if isinstance(node, ast.ClassDef) and node.name == "ComputeManager")
    return {node.name: node for node in manager.body if isinstance(node, ast.FunctionDef)}


def decorators(function):
    return [ast.unparse(decorator) for decorator in function.decorator_list]


def flags_of(function, inner):
    texts = decorators(function) + (decorators(inner) if inner else [])
    flags = {flag for text in texts for name, flag in DECORATORS.items() if name in text}
    expected = next((text for text in texts if "expected_exceptions" in text), "")
    if re.sub(r".*expected_exceptions\(|exception\.VTPMSecretForbidden|[),]", "", expected).strip():
        flags.add("EXPECTED")  # a vTPM is nothing that this agent has
    if not any("wrap_exception" in text for text in texts):
        flags.add("UNTOLD")
    if "utils.synchronized(instance.uuid)" in ast.unparse(function):
        flags.add("SERIAL")
    if "errors_out_migration_ctxt(" in ast.unparse(inner or function):
        flags.add("FAIL_MIGRATION")
    return flags


def nova_methods():
    """{name: (required, optional, flags)} of all that a message can call."""
    functions = manager_functions()
    found = {}
    for name, function in functions.items():
        names = [arg.arg for arg in function.args.args]
        if (name.startswith("_") or name in NOT_SENT or names[1:2] not in (["context"], ["ctxt"])
                or any("periodic_task" in text for text in decorators(function))):
            continue
        names = names[2:]
        n_optional = len(function.args.defaults)
        required, optional = names[:len(names) - n_optional], names[len(names) - n_optional:]
        found[name] = (set(required), set(optional), flags_of(function, functions.get(INNER.get(name))))
    return found


def our_methods():
    rows = map(json.loads, run(os.environ["PRINT_METHODS"]).stdout.splitlines())
    return {row["name"]: (set(row["required"].split()), set(row["optional"].split()), set(row["flags"])) for row in rows}


class Methods(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.nova, cls.ours = nova_methods(), our_methods()

    def test_nova_is_understood(self):
        """What this test reads out of Nova's source, for a method with everything."""
        self.assertGreater(len(self.nova), 70)
        self.assertEqual(self.nova["unquiesce_instance"], ({"instance"}, {"mapping"}, {"EXPECTED"}))
        self.assertEqual(self.nova["confirm_resize"][2], {"SERIAL", "EVENT", "FAULT", "FAIL_MIGRATION"})

    def test_no_method_of_our_own(self):
        self.assertEqual(set(self.ours) - set(self.nova), set())

    def test_arguments_are_novas(self):
        ours = {name: row[:2] for name, row in self.ours.items()}
        self.assertEqual(ours, {name: self.nova[name][:2] for name in ours})

    def test_flags_are_novas_decorators(self):
        ours = {name: row[2] for name, row in self.ours.items()}
        self.assertEqual(ours, {name: self.nova[name][2] | OWN_FLAGS.get(name, set()) for name in ours})

    def test_readme_lists_what_is_missing(self):
        missing = sorted(set(self.nova) - set(self.ours))
        text = README.read_text()
        before, rest = text.split(MARKS[0])
        listed, after = rest.split(MARKS[1])
        wanted = ", ".join(f"`{name}`" for name in missing) + ".\n" if missing else "None.\n"
        if os.environ.get("UPDATE"):
            README.write_text(before + MARKS[0] + wanted + MARKS[1] + after)
        else:
            self.assertEqual(listed, wanted)
