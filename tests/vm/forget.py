# SPDX-License-Identifier: Apache-2.0
"""Forgets what an earlier boot of the VM has left in the lab: its identity was in memory, the next one is another host."""
import contextlib
import os
import time

import openstack
import pymysql

cloud = openstack.connect()
deadline = time.monotonic() + 180
while servers := list(cloud.compute.servers(all_projects=True, compute_host="vm1")):
    if time.monotonic() > deadline:
        raise SystemExit(f"servers of vm1 that do not go: {[server.id for server in servers]}")
    for server in servers:  # again, because Nova asks the host itself for as long as it takes it to be up
        with contextlib.suppress(openstack.exceptions.ConflictException):
            cloud.compute.delete_server(server, force=True, ignore_missing=True)
    time.sleep(5)
for service in cloud.compute.services(binary="nova-compute", host="vm1"):
    cloud.compute.delete_service(service)
for agent in cloud.network.agents(host="vm1"):
    cloud.network.delete_agent(agent)
with pymysql.connect(host=os.environ["LAB_ADDR"], user="lab", password="lab", autocommit=True) as database, database.cursor() as sql:
    # Of a host's services Nova takes the first row for the one that is up, a deleted one just as well.
    sql.execute("DELETE FROM nova.services WHERE host = 'vm1' AND deleted != 0")
    # Cinder's volumes there were in memory, too.
    if sql.execute("SHOW TABLES FROM cinder LIKE 'volumes'"):
        sql.execute("UPDATE cinder.volumes v LEFT JOIN cinder.volume_attachment a ON a.volume_id = v.id"
                    " SET v.deleted = 1, a.deleted = 1 WHERE v.host LIKE 'vm1@%'")
        sql.execute("UPDATE cinder.services SET deleted = 1 WHERE host LIKE 'vm1@%'")
# Nova leaves a node's providers when there are others below it.
providers = [p for p in cloud.placement.resource_providers() if p.name == "vm1" or p.name.startswith("vm1_")]
for provider in sorted(providers, key=lambda provider: -len(provider.name)):
    cloud.placement.delete_resource_provider(provider)
