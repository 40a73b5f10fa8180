# SPDX-License-Identifier: Apache-2.0
"""A method of nova.compute.rpcapi.ComputeAPI, sent as Nova's API and conductor send it, for what no REST
request of the lab leads to.

Reads requests from stdin, a line of JSON each: "method", "auth" (token, user_id, project_id, catalog),
"server" (its uuid or null), "args" (by name), "task_state" and "action" (what the API would have put into
the database before). Answers each with a line {"result": ...} or {"error": [class, message]}."""
import json
import os
import sys

CONF_FILE = os.path.join(os.environ["LAB_DIR"], "etc/nova/nova.conf")


def context_of(auth):
    from nova import context

    return context.RequestContext(user_id=auth["user_id"], project_id=auth["project_id"], is_admin=True,
                                  auth_token=auth["token"], service_catalog=auth["catalog"], roles=["admin"])


def instance_of(ctxt, request):
    from nova import objects

    instance = objects.Instance.get_by_uuid(
        ctxt, request["server"], expected_attrs=["metadata", "system_metadata", "info_cache", "flavor"])
    if request.get("action"):
        objects.InstanceAction.action_start(ctxt, instance.uuid, request["action"], want_result=False)
    if request.get("task_state"):
        instance.task_state = request["task_state"]
        instance.save()
    return instance


def share_of(ctxt, fields):
    """The record that the API makes before it asks the compute."""
    from nova import objects

    mapping = objects.ShareMapping(ctxt, **fields)
    mapping.create()
    return mapping


def send(api, request):
    from nova.objects import base

    ctxt = context_of(request["auth"])
    kwargs = request["args"]
    if request["server"]:
        kwargs["instance"] = instance_of(ctxt, request)
    if "share_mapping" in kwargs:
        kwargs["share_mapping"] = share_of(ctxt, kwargs["share_mapping"])
    result = getattr(api, request["method"])(ctxt, **kwargs)
    return result.obj_to_primitive() if isinstance(result, base.NovaObject) else result


def connect():
    from nova import config, objects, rpc
    import nova.conf
    from nova.compute import rpcapi

    config.parse_args(["nova", "--config-file", CONF_FILE])
    rpc.init(nova.conf.CONF)
    objects.register_all()
    return rpcapi.ComputeAPI()


def main():
    api = connect()
    for line in sys.stdin:
        try:
            answer = {"result": send(api, json.loads(line))}
        except Exception as error:
            answer = {"error": [type(error).__name__.removesuffix("_Remote"), str(error).split("\n")[0]]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
