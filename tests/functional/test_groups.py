# SPDX-License-Identifier: Apache-2.0
"""Server groups, where the scheduler was not asked."""
from lab import HOST, LabTest


class Groups(LabTest):
    def test_anti_affinity_is_checked_where_it_is_built(self):
        """A host that the request names passes all filters; the build finds the first server there."""
        group = self.compute.create_server_group(name="apart", policy="anti-affinity")
        self.addCleanup(self.compute.delete_server_group, group.id)
        self.create("apart-1", scheduler_hints={"group": group.id})
        refused = self.request("apart-2", availability_zone=f"nova:{HOST}", scheduler_hints={"group": group.id})
        fresh = self.wait_status(refused, "ERROR", 120)
        self.assertEqual(fresh.fault["message"], "Anti-affinity instance group policy was violated")
        self.assertEqual(self.actions(refused)["create"], {"compute__do_build_and_run_instance": "Success"})
        self.assertEqual(self.allocations(refused), {})
