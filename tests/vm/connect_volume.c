/* SPDX-License-Identifier: Apache-2.0 */
/* Connects and disconnects a volume as the agent does, for tests of connectors in the test VM.
 *
 *   connect_volume connect|disconnect|extend [BYTES] <CONNECTION_INFO
 *
 * CONNECTION_INFO is Cinder's, as JSON. Prints the path of the device, nothing, or the size; or "CLASS: message" and
 * exits 1. KILONOVA_MULTIPATH=1: over all paths. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/connector.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"

static bool
run(Connectors *connectors, const char *what, int64_t bytes, json_t *info, NovaError **err)
{
    if (strcmp(what, "disconnect") == 0)
        return connectors_disconnect(connectors, info, SERVER, false, err);
    if (strcmp(what, "extend") == 0) {
        if (!connectors_extend(connectors, info, bytes, &bytes, err))
            return false;
        printf("%lld\n", (long long)bytes);
        return true;
    }
    if (!connectors_connect(connectors, info, SERVER, err))
        return false;
    puts(json_get_string(json_get_object(info, "data"), "device_path", ""));
    return true;
}

int
main(int argc, char **argv)
{
    Options options = {.libvirt = {.volume_use_multipath = getenv("KILONOVA_MULTIPATH") != NULL,
                                   .num_volume_scan_tries = 5,
                                   .num_nvme_discover_tries = 5}};
    g_autoptr(Connectors) connectors = connectors_new(&options, "");
    json_auto_t *info = json_loadf(stdin, 0, NULL);
    g_autoptr(NovaError) error = NULL;

    if (argc < 2 || !info)
        return 2;
    if (run(connectors, argv[1], argc > 2 ? atoll(argv[2]) : 0, info, &error))
        return EXIT_SUCCESS;
    printf("%s: %s\n", nova_error_class(error), nova_error_details(error));
    return EXIT_FAILURE;
}
