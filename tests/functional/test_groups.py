# SPDX-License-Identifier: Apache-2.0
"""Server groups, where the scheduler could not know of all members."""
import re

from lab import AGENT_LOG, HOST, LabTest, agent, agent_pid, wait


class Groups(LabTest):
    def start_agent(self, *options):
        agent("start", HOST, *options)
        line = re.compile(rf" {agent_pid()} INFO .* is up, node ")
        wait(90, "the agent ready", lambda: any(map(line.search, AGENT_LOG.read_text(errors="replace").splitlines()[-200:])))

    def test_anti_affinity_is_checked_where_it_is_built(self):
        """Both are sent here before either is here: the second build finds the first one's server."""
        group = self.compute.create_server_group(name="apart", policy="anti-affinity")
        self.addCleanup(self.compute.delete_server_group, group.id)
        self.addCleanup(self.start_agent)
        agent("stop", HOST)
        pair = [self.request(f"apart-{n}", scheduler_hints={"group": group.id}) for n in range(2)]
        for server in pair:
            wait(60, f"{server.name} scheduled", lambda server=server: self.allocations(server))
        self.start_agent("DEFAULT.max_concurrent_builds=1")
        ended = wait(120, "both built", lambda: self.ended(pair))
        self.assertEqual(sorted(server.status for server in ended), ["ACTIVE", "ERROR"])
        refused = next(server for server in ended if server.status == "ERROR")
        self.assertEqual(self.actions(refused)["create"]["compute__do_build_and_run_instance"], "Success")
        self.assertIn(f"{refused.id} was re-scheduled: Anti-affinity instance group policy was violated",
                      AGENT_LOG.read_text(errors="replace"))
        self.assertEqual(self.allocations(refused), {})

    def ended(self, servers):
        fresh = [self.get(server) for server in servers]
        return fresh if all(server.status != "BUILD" for server in fresh) else None

    def allocations(self, server):
        answer = self.cloud.session.get(f"/allocations/{server.id}", endpoint_filter={"service_type": "placement"})
        return answer.json()["allocations"]
