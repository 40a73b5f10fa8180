/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.network.vif_plug"
#include "network/vif_plug.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "network/vif_plan.h"

#define N_IDS 11 /* five pairs and the end */

static int
timeout_ms(const Options *options)
{
    return (int)options->os_vif_ovs.ovs_vsctl_timeout * 1000;
}

static void
free_plan(void *plan)
{
    vif_plan_free(plan);
}

/* os-vif's external ids of an interface. */
static void
fill_external_ids(const VifPlan *plan, const char *ids[N_IDS])
{
    int n = 0;

    ids[n++] = "iface-id";
    ids[n++] = plan->iface_id;
    ids[n++] = "iface-status";
    ids[n++] = "active";
    ids[n++] = "attached-mac";
    ids[n++] = plan->mac;
    ids[n++] = "vm-uuid";
    ids[n++] = plan->vm_uuid;
    if (plan->trunk_bridge) {
        ids[n++] = "bridge_name";
        ids[n++] = plan->trunk_bridge;
    }
    ids[n] = NULL;
}

static void
append_plug(GArray *changes, const VifPlan *plan, const char *ids[N_IDS])
{
    OvsdbChange bridge = {
        .kind = OVSDB_ADD_BRIDGE, .bridge = plan->bridge, .datapath_type = plan->datapath_type};
    OvsdbChange port = {
        .kind = OVSDB_ADD_PORT,
        .bridge = plan->bridge,
        .port = plan->port,
        .external_ids = ids,
        .isolate = plan->isolate,
    };

    fill_external_ids(plan, ids);
    g_array_append_val(changes, bridge);
    g_array_append_val(changes, port);
}

static bool
apply(Ovsdb *ovsdb, const Options *options, const GArray *changes, NovaError **err)
{
    bool ok;

    FAIL_POINT("ovsdb.apply:before", NULL);
    ok = ovsdb_apply(ovsdb, (const OvsdbChange *)(const void *)changes->data, changes->len,
                     timeout_ms(options), err);
    FAIL_POINT("ovsdb.apply:after", NULL);
    return ok;
}

bool
vif_plug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs, const char *instance_uuid,
             NovaError **err)
{
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(free_plan);
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(OvsdbChange));
    g_autofree const char *(*ids)[N_IDS] = g_malloc0_n(vifs->len + 1, sizeof(*ids));

    for (guint i = 0; i < vifs->len; i++) {
        VifPlan *plan = vif_plan_make(vifs->pdata[i], instance_uuid, options, err);

        if (!plan)
            return false;
        g_ptr_array_add(plans, plan);
        if (plan->kind == VIF_PLAN_OVS)
            append_plug(changes, plan, ids[i]);
    }
    return apply(ovsdb, options, changes, err);
}

/* With a tap in the switch's user-space data path or its kernel module alike. */
static void
bring_up(int fd, const char *tap)
{
    struct ifreq request = {0};

    g_strlcpy(request.ifr_name, tap, sizeof(request.ifr_name));
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0 || request.ifr_flags & IFF_UP)
        return; /* not there: the plug of somebody else, or the guest has ended */
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        LOG_WARNING("Tap %s is down and cannot be set up: %s", tap, g_strerror(errno));
    else
        LOG_INFO("Tap %s was down and has been set up", tap);
}

void
vif_bring_up_all(const Options *options, const GPtrArray *vifs, const char *instance_uuid)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (guint i = 0; fd >= 0 && i < vifs->len; i++) {
        g_autoptr(VifPlan) plan = vif_plan_make(vifs->pdata[i], instance_uuid, options, NULL);

        if (plan && plan->kind == VIF_PLAN_OVS)
            bring_up(fd, plan->port);
    }
    if (fd >= 0)
        close(fd);
}

bool
vif_unplug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
               const char *instance_uuid, NovaError **err)
{
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(free_plan);
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(OvsdbChange));

    for (guint i = 0; i < vifs->len; i++) {
        g_autoptr(NovaError) why = NULL;
        VifPlan *plan = vif_plan_make(vifs->pdata[i], instance_uuid, options, &why);
        OvsdbChange change = {.kind = OVSDB_DEL_PORT};

        if (!plan) {
            LOG_DEBUG("nothing to unplug: %s", nova_error_details(why));
            continue;
        }
        g_ptr_array_add(plans, plan);
        change.port = plan->port;
        if (plan->kind == VIF_PLAN_OVS)
            g_array_append_val(changes, change);
    }
    return apply(ovsdb, options, changes, err);
}
