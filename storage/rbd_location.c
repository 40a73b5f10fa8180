/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/rbd_location.h"

#include <string.h>

#include "agent/base/json.h"

#define PREFIX "rbd://"

void
rbd_location_clear(RbdLocation *location)
{
    g_free(location->fsid);
    g_free(location->pool);
    g_free(location->image);
    g_free(location->snapshot);
    *location = (RbdLocation){0};
}

bool
rbd_location_parse(const char *url, RbdLocation *ret_location)
{
    g_auto(GStrv) parts = NULL;
    g_auto(RbdLocation) location = {0};

    if (!url || !g_str_has_prefix(url, PREFIX))
        return false;
    parts = g_strsplit(url + strlen(PREFIX), "/", -1);
    if (g_strv_length(parts) != 4)
        return false;
    /* A NUL among them makes it NULL: no address of Glance's. */
    location = (RbdLocation){g_uri_unescape_string(parts[0], NULL), g_uri_unescape_string(parts[1], NULL),
                             g_uri_unescape_string(parts[2], NULL), g_uri_unescape_string(parts[3], NULL)};
    if (!location.fsid || !*location.fsid || !location.pool || !*location.pool || !location.image ||
        !*location.image || !location.snapshot || !*location.snapshot)
        return false;
    *ret_location = location;
    location = (RbdLocation){0};
    return true;
}

GPtrArray *
rbd_location_urls(const json_t *record)
{
    GPtrArray *urls = g_ptr_array_new_with_free_func(g_free);
    const char *direct = json_get_string(record, "direct_url", NULL);
    size_t i;
    json_t *location;

    json_array_foreach (json_get_array(record, "locations"), i, location) {
        const char *url = json_get_string(location, "url", NULL);

        if (url)
            g_ptr_array_add(urls, g_strdup(url));
    }
    if (direct && !g_ptr_array_find_with_equal_func(urls, direct, g_str_equal, NULL))
        g_ptr_array_add(urls, g_strdup(direct));
    return urls;
}
