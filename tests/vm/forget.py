# SPDX-License-Identifier: Apache-2.0
"""Forgets what an earlier boot of the VM has left in the lab: its identity was in memory, the next one is another host."""
import openstack

cloud = openstack.connect()
for server in cloud.compute.servers(all_projects=True, host="vm1"):
    cloud.compute.delete_server(server, force=True)
    cloud.compute.wait_for_delete(server, wait=60)
for service in cloud.compute.services(binary="nova-compute", host="vm1"):
    cloud.compute.delete_service(service)
