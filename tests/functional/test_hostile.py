# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody honest would send: the agent answers with an error or drops them, and goes on."""
import json
import os
import uuid

import kombu

from lab import HOST, LabTest, agent_pid

URL = os.environ["LAB_TRANSPORT_URL"].replace("rabbit://", "amqp://") + "/"
CONTEXT = {"_context_request_id": "req-hostile", "_context_is_admin": True, "_context_auth_token": "hostile-token",
           "_context_user_id": None, "_context_project_id": None, "_context_roles": []}


def call(method, args, version="6.0", **more):
    return {"method": method, "args": args, "version": version, "_unique_id": uuid.uuid4().hex, **CONTEXT, **more}


def envelope(message):
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})


def deep(levels):
    return "[" * levels + "]" * levels


INSTANCE = {"nova_object.name": "Instance", "nova_object.namespace": "nova", "nova_object.version": "2.8",
            "nova_object.data": {"uuid": str(uuid.uuid4()), "id": 1, "task_state": None, "vm_state": "building"}}

HOSTILE = {
    "empty": "",
    "not JSON": "\x00\xff hello",
    "no envelope": "[]",
    "a number": "1e999",
    "deep": deep(100000),
    "deep inside": json.dumps({"oslo.version": "2.0", "oslo.message": deep(5000)}),
    "message is no text": json.dumps({"oslo.version": "2.0", "oslo.message": 7}),
    "other version": json.dumps({"oslo.version": "9.0", "oslo.message": "{}"}),
    "huge number": '{"oslo.version": "2.0", "oslo.message": "{\\"method\\": \\"get_host_uptime\\", \\"args\\": '
                   '{\\"a\\": 123456789012345678901234567890}, \\"version\\": \\"6.0\\"}"}',
    "no method": envelope({"args": {}, **CONTEXT}),
    "method is a list": envelope(call([], {})),
    "args is a list": envelope(call("terminate_instance", [])),
    "args is null": envelope(call("terminate_instance", None)),
    "instance is a number": envelope(call("terminate_instance", {"instance": 7, "bdms": []})),
    "instance without data": envelope(call("terminate_instance", {"instance": {"nova_object.name": "Instance"}, "bdms": []})),
    "instance with wrong types": envelope(call("terminate_instance", {"instance": {
        **INSTANCE, "nova_object.data": {"uuid": 7, "id": "x", "flavor": [1], "info_cache": True}}, "bdms": []})),
    "uuid with a path": envelope(call("terminate_instance", {"instance": {
        **INSTANCE, "nova_object.data": {**INSTANCE["nova_object.data"], "uuid": "../../../etc"}}, "bdms": []})),
    "unknown version": envelope(call("terminate_instance", {}, version="99.0")),
    "version is nothing": envelope(call("terminate_instance", {}, version=None)),
    "unknown method": envelope(call("rm_rf", {})),
    "events of no list": envelope(call("external_instance_event", {"instances": {}, "events": 3})),
    "event of no object": envelope(call("external_instance_event", {"instances": [], "events": [None, 1, {"a": []}]})),
    "build of nothing": envelope(call("build_and_run_instance", {
        "instance": INSTANCE, "image": 3, "request_spec": None, "filter_properties": "x"})),
    "long method": envelope(call("x" * 1000000, {})),
}


class Hostile(LabTest):
    def test_hostile_messages(self):
        pid = agent_pid()
        with kombu.Connection(URL) as connection:
            producer = connection.Producer()
            for name, body in HOSTILE.items():
                for content_type in ("application/json", "text/plain"):
                    with self.subTest(name, content_type=content_type):
                        producer.publish(body.encode("utf-8", "surrogateescape"), exchange="nova",
                                         routing_key=f"compute.{HOST}", content_type=content_type,
                                         content_encoding="utf-8")
        self.delete(self.create("after-them", networks="none"))
        self.assertEqual(agent_pid(), pid)
        self.assert_nothing_left()


