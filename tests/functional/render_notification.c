/* SPDX-License-Identifier: Apache-2.0 */
/* The payload that the agent would send, from what it would know: a line of JSON in, one out.
 *   {"kind": "action", "action": "pause", "instance": {...}, "context": {...}, "bdms": [...], ...}
 * Used by test_notifications.py, which compares with Nova's own samples. */
#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/control/notification_payload.h"
#include "agent/objects/block_device.h"
#include "agent/objects/versioned_object.h"

/* 'json' has class and message, perhaps; NULL: none. */
static NovaError *
read_error(const json_t *json)
{
    return json_is_object(json) ? nova_error_from_failure(json) : NULL;
}

static GPtrArray *
read_bdms(const json_t *list)
{
    GPtrArray *bdms;
    size_t i;
    json_t *data;

    if (!json_is_array(list))
        return NULL;
    bdms = g_ptr_array_new_with_free_func(object_free);
    json_array_foreach (list, i, data) {
        BlockDeviceMapping *bdm = object_new(&BLOCK_DEVICE_MAPPING_TYPE);

        OBJECT_SET_STRING(bdm, volume_id, json_get_string(data, "volume_id", NULL));
        OBJECT_SET_STRING(bdm, device_name, json_get_string(data, "device_name", NULL));
        OBJECT_SET_STRING(bdm, tag, json_get_string(data, "tag", NULL));
        OBJECT_SET(bdm, delete_on_termination, json_get_bool(data, "delete_on_termination", false));
        g_ptr_array_add(bdms, bdm);
    }
    return bdms;
}

static json_t *
render(const json_t *input)
{
    const char *kind = json_get_string(input, "kind", "action");
    const char *action = json_get_string(input, "action", "");
    g_autoptr(RequestContext) ctx =
        request_context_from_message(json_object_get(input, "context"), NULL);
    g_autoptr(GPtrArray) bdms = read_bdms(json_object_get(input, "bdms"));
    g_autoptr(NovaError) error = read_error(json_object_get(input, "error"));
    NoticeFacts facts = {
        .ctx = ctx,
        .action = action,
        .instance = json_object_get(input, "instance"),
        .instance_name = json_get_string(input, "instance_name", NULL),
        .bdms = bdms,
        .shares = json_get_array(input, "shares"),
        .fields = json_get_object(input, "fields"),
        .error = error,
    };

    if (strcmp(kind, "exception") == 0)
        return payload_of_exception(error, action);
    if (strcmp(kind, "libvirt") == 0)
        return payload_of_libvirt_error(error, json_get_string(input, "ip", ""));
    if (strcmp(kind, "exists") == 0)
        return payload_of_exists(
            &facts, object_time_seconds(json_get_string(input, "begin", NULL)) * G_USEC_PER_SEC,
            object_time_seconds(json_get_string(input, "end", NULL)) * G_USEC_PER_SEC);
    return payload_of_action(notice_kind_find(action), &facts);
}

int
main(void)
{
    g_autofree char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        json_auto_t *input = json_loads(line, 0, NULL);
        json_auto_t *payload = render(input);
        g_autofree char *text = json_to_text(payload);

        puts(text);
        fflush(stdout);
    }
    return 0;
}
