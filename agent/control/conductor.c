/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.control.conductor"
#include "agent/control/conductor.h"

#include <stdatomic.h>
#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/versioned_object.h"

struct Conductor {
    RpcClient *client;
    atomic_int release; /* 0: not probed yet */
};

#define DEFAULT_RELEASE 34

static const RpcTarget conductor_target = {"conductor", NULL, NULL, "3.0"};
static const RpcTarget base_target = {"conductor", NULL, "baseapi", "1.0"};
static const RpcTarget task_target = {"conductor", NULL, "compute_task", "1.19"};
static const RpcTarget scheduler_target = {"scheduler", NULL, NULL, "4.2"};

/* ---- versions ---- */

/* The classes of Nova 34 and the versions sent for them; older planes: see old_versions. */
static const char *const node_versions[] = {
    "Service", "1.22", "ComputeNode", "1.19", "HVSpec", "1.2", "PciDevicePoolList", "1.1",
    "PciDevicePool", "1.1", NULL,
};

static const char *const instance_versions[] = {
    "InstanceList", "2.6", "Instance", "2.8", "ServiceList", "1.19", "Service", "1.22", "ComputeNode",
    "1.19", "HVSpec", "1.2", "PciDevicePoolList", "1.1", "PciDevicePool", "1.1", "InstanceInfoCache",
    "1.5", "SecurityGroupList", "1.1", "SecurityGroup", "1.2", "InstanceFault", "1.2",
    "PciDeviceList", "1.3", "PciDevice", "1.7", "InstanceNUMATopology", "1.3", "InstanceNUMACell",
    "1.6", "VirtCPUTopology", "1.0", "InstancePCIRequests", "1.1", "InstancePCIRequest", "1.4",
    "InstanceDeviceMetadata", "1.0", "DeviceMetadata", "1.0", "DeviceBus", "1.0", "TagList", "1.1",
    "Tag", "1.1", "Flavor", "1.2", "VirtCPUModel", "1.0", "VirtCPUFeature", "1.0", "EC2Ids", "1.0",
    "MigrationContext", "1.2", "ResourceList", "1.0", "Resource", "1.0", "ResourceMetadata", "1.0",
    "KeyPairList", "1.3", "KeyPair", "1.4", "TrustedCerts", "1.0", "BlockDeviceMappingList", "1.18",
    "BlockDeviceMapping", "1.21", "MigrationList", "1.5", "Migration", "1.8", NULL,
};

static const char *const small_versions[] = {
    "InstanceActionEventList", "1.1", "InstanceActionEvent", "1.4", "InstanceActionList", "1.1",
    "InstanceAction", "1.2", "InstanceFault", "1.2",
    "VirtualInterface", "1.3", "VirtualInterfaceList", "1.0", "ConsoleAuthToken", "1.3",
    "InstanceGroup", "1.11", "ComputeNodeList", "1.17", "InstanceInfoCache", "1.5",
    "ShareMappingList", "1.0", "ShareMapping", "1.1", NULL,
};

typedef struct OldVersion {
    const char *name;
    int until; /* last release that does not have the version of the tables above */
    const char *version;
} OldVersion;

static const OldVersion old_versions[] = {
    {"Instance", 27, "2.7"},
    {"Migration", 27, "1.7"},
    {"ConsoleAuthToken", 28, "1.1"},
    {"ConsoleAuthToken", 30, "1.2"},
};

static const char *
version_for(Conductor *conductor, const char *name, const char *newest)
{
    int release = conductor_release(conductor);

    for (size_t i = 0; i < G_N_ELEMENTS(old_versions); i++)
        if (strcmp(old_versions[i].name, name) == 0 && release <= old_versions[i].until)
            return old_versions[i].version;
    return newest;
}

static void
add_versions(Conductor *conductor, json_t *versions, const char *const *table)
{
    for (const char *const *pair = table; pair[0]; pair += 2)
        json_object_set_new(versions, pair[0],
                            json_string(version_for(conductor, pair[0], pair[1])));
}

/* Asking for more classes than the answer nests is harmless; a missing one would come back in a
 * version of the control plane's choice. */
static json_t *
versions_of(Conductor *conductor, const char *object)
{
    json_t *versions = json_object();

    if (g_str_has_prefix(object, "Instance") || g_str_has_prefix(object, "BlockDevice") ||
        g_str_has_prefix(object, "Migration") || g_str_has_prefix(object, "PciDevice"))
        add_versions(conductor, versions, instance_versions);
    else
        add_versions(conductor, versions, node_versions);
    add_versions(conductor, versions, small_versions);
    return versions;
}

Conductor *
conductor_new(RpcClient *client)
{
    Conductor *conductor = g_new0(Conductor, 1);

    conductor->client = client;
    return conductor;
}

void
conductor_free(Conductor *conductor)
{
    g_free(conductor);
}

/* ---- the calls ---- */

/* The one way to the database. */
static json_t *
call(Conductor *conductor, const RequestContext *ctx, const char *action, json_t *message,
     NovaError **err)
{
    const char *method G_GNUC_UNUSED = json_get_string(message, "objmethod", NULL);
    json_t *answer;

    FAIL_POINT("conductor.call:before", method);
    answer = rpc_call(conductor->client, ctx, &conductor_target, action, message, 0, 0, err);
    FAIL_POINT("conductor.call:after", method);
    return answer;
}

json_t *
conductor_class_action(Conductor *conductor, const RequestContext *ctx, const char *object,
                       const char *method, json_t *args, json_t *kwargs, NovaError **err)
{
    json_auto_t *message = json_pack("{s:s, s:s, s:o, s:O?, s:O?}", "objname", object, "objmethod",
                                     method, "object_versions", versions_of(conductor, object),
                                     "args", args, "kwargs", kwargs);
    json_t *result;

    if (!args)
        json_object_set_new(message, "args", json_array());
    if (!kwargs)
        json_object_set_new(message, "kwargs", json_object());
    result = call(conductor, ctx, "object_class_action_versions", message, err);
    if (!result)
        nova_error_prefix(err, "%s.%s", object, method);
    return result;
}

/* A class action whose result does not matter. */
static bool
class_action_void(Conductor *conductor, const RequestContext *ctx, const char *object,
                  const char *method, json_t *args, json_t *kwargs, NovaError **err)
{
    json_auto_t *result = conductor_class_action(conductor, ctx, object, method, args, kwargs, err);

    return result != NULL;
}

/* Fields that an older control plane does not have: named as changed, they would make it refuse the save. */
static const struct {
    const char *object;
    const char *field;
    int since;
} newer_fields[] = {
    {"Instance", "compute_id", 28},
    {"Migration", "dest_compute_id", 28},
};

static void
forget_name(json_t *names, const char *name)
{
    for (size_t i = json_array_size(names); i > 0; i--)
        if (g_strcmp0(json_string_value(json_array_get(names, i - 1)), name) == 0)
            json_array_remove(names, i - 1);
}

/* The object as this control plane knows it; new reference. */
static json_t *
object_for_plane(Conductor *conductor, const ObjectBase *object)
{
    json_t *primitive = object_to_json(object);

    for (size_t i = 0; i < G_N_ELEMENTS(newer_fields); i++)
        if (conductor_release(conductor) < newer_fields[i].since &&
            strcmp(object->type->name, newer_fields[i].object) == 0) {
            json_object_del(json_object_get(primitive, "nova_object.data"), newer_fields[i].field);
            forget_name(json_object_get(primitive, "nova_object.changes"), newer_fields[i].field);
        }
    return primitive;
}

bool
conductor_object_action(Conductor *conductor, const RequestContext *ctx, void *object,
                        const char *method, json_t *kwargs, json_t **ret_result, NovaError **err)
{
    ObjectBase *base = object;
    json_auto_t *message = json_pack("{s:o, s:s, s:[], s:O?}", "objinst",
                                     object_for_plane(conductor, base), "objmethod", method, "args",
                                     "kwargs", kwargs);
    json_auto_t *answer = NULL;

    if (!kwargs)
        json_object_set_new(message, "kwargs", json_object());
    answer = call(conductor, ctx, "object_action", message, err);
    if (!answer)
        return nova_error_prefix(err, "%s.%s", base->type->name, method);
    if (!object_apply_updates(object, json_array_get(answer, 0), err))
        return nova_error_prefix(err, "%s.%s", base->type->name, method);
    if (ret_result)
        *ret_result = json_incref(json_array_get(answer, 1));
    return true;
}

static GPtrArray *
class_action_list(Conductor *conductor, const RequestContext *ctx, const ObjectType *type,
                  const char *list, const char *method, json_t *args, json_t *kwargs,
                  NovaError **err)
{
    json_auto_t *result = conductor_class_action(conductor, ctx, list, method, args, kwargs, err);

    return result ? object_list_from_json(type, result, err) : NULL;
}

/* ---- start ---- */

bool
conductor_ping(Conductor *conductor, const RequestContext *ctx, int timeout_s, NovaError **err)
{
    json_auto_t *args = json_pack("{s:s}", "arg", "1.21 GigaWatts");
    json_auto_t *answer =
        rpc_call(conductor->client, ctx, &base_target, "ping", args, timeout_s, 0, err);

    return answer != NULL;
}

/* "Version 99.0 of ImageMetaProps is not supported, supported version is 1.44": what each release
 * answers; 26 and 27 as 28. */
#define SUPPORTED "supported version is "
#define SERVICE_VERSION_OF_27 66
static const struct {
    const char *version;
    int release;
} image_props_releases[] = {
    {"1.34", 28}, {"1.37", 29}, {"1.38", 30}, {"1.39", 31}, {"1.42", 33}, {"1.44", 34},
};

/* What the control plane says it has of a class: "1.44"; "" when it says nothing of the kind. NULL: no answer. */
static char *
probe_version(Conductor *conductor, const RequestContext *ctx, const char *class, NovaError **err)
{
    json_auto_t *message =
        json_pack("{s:s, s:s, s:{s:s}, s:[], s:{}}", "objname", class, "objmethod", "kilonova_probe",
                  "object_versions", class, "99.0", "args", "kwargs");
    NovaError *answer = NULL;
    json_auto_t *result = rpc_call(conductor->client, ctx, &conductor_target, "object_class_action_versions",
                                   message, 0, 0, &answer);
    const char *at;
    char *version;

    if (!result && nova_error_is(answer, NOVA_ERROR_MESSAGING_TIMEOUT)) {
        nova_error_propagate(err, answer);
        return NULL;
    }
    at = answer ? strstr(nova_error_message(answer), SUPPORTED) : NULL;
    at = at ? at + strlen(SUPPORTED) : "";
    version = g_strndup(at, strspn(at, "0123456789."));
    nova_error_free(answer);
    return version;
}

static int
release_of_props(const char *version)
{
    for (size_t i = 0; i < G_N_ELEMENTS(image_props_releases); i++)
        if (g_str_has_prefix(version, image_props_releases[i].version))
            return image_props_releases[i].release;
    return DEFAULT_RELEASE;
}

/* 26 and 27 have the same classes; the conductors' own records tell them apart. When in doubt it is the older
 * one: what claims to be newer than the plane is refused, what is older is not. */
static int
release_of_conductors(Conductor *conductor, const RequestContext *ctx, NovaError **err)
{
    int64_t version;

    if (!conductor_minimum_service_version(conductor, ctx, "nova-conductor", &version, err))
        return 0;
    return version >= SERVICE_VERSION_OF_27 ? 27 : 26;
}

/* 0: no answer. */
static int
probe_release(Conductor *conductor, const RequestContext *ctx, NovaError **err)
{
    g_autofree char *props = probe_version(conductor, ctx, "ImageMetaProps", err);
    g_autofree char *instance = NULL;
    int release;

    if (!props)
        return 0;
    release = release_of_props(props);
    if (release > 28)
        return release;
    instance = probe_version(conductor, ctx, "Instance", err);
    if (!instance)
        return 0;
    return strcmp(instance, "2.7") == 0 ? release_of_conductors(conductor, ctx, err) : release;
}

int
conductor_probe_release(Conductor *conductor, const RequestContext *ctx, NovaError **err)
{
    int release = probe_release(conductor, ctx, err);

    if (release > 0)
        atomic_store(&conductor->release, release);
    return release;
}

int
conductor_release(Conductor *conductor)
{
    int release = atomic_load(&conductor->release);

    return release ? release : DEFAULT_RELEASE;
}

bool
conductor_minimum_service_version(Conductor *conductor, const RequestContext *ctx, const char *binary,
                                  int64_t *ret_version, NovaError **err)
{
    json_auto_t *args = json_pack("[s]", binary);
    json_auto_t *result =
        conductor_class_action(conductor, ctx, "Service", "get_minimum_version", args, NULL, err);

    if (!result)
        return false;
    *ret_version = json_integer_value(result);
    return true;
}

bool
conductor_service_get(Conductor *conductor, const RequestContext *ctx, const char *host,
                      Service **ret_service, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", host, "nova-compute");
    json_auto_t *result = conductor_class_action(conductor, ctx, "Service",
                                                 "get_by_host_and_binary", args, NULL, err);

    if (!result)
        return false;
    *ret_service = NULL;
    if (json_is_null(result))
        return true;
    *ret_service = service_from_json(result, err);
    return *ret_service != NULL;
}

bool
conductor_service_create(Conductor *conductor, const RequestContext *ctx, Service *service,
                         NovaError **err)
{
    return conductor_object_action(conductor, ctx, service, "create", NULL, NULL, err);
}

bool
conductor_service_save(Conductor *conductor, const RequestContext *ctx, Service *service,
                       NovaError **err)
{
    return conductor_object_action(conductor, ctx, service, "save", NULL, NULL, err);
}

GPtrArray *
conductor_compute_nodes_by_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                                NovaError **err)
{
    json_auto_t *args = json_pack("[s]", host);
    json_auto_t *kwargs = json_pack("{s:b}", "use_slave", 1);
    NovaError *error = NULL;
    GPtrArray *nodes = class_action_list(conductor, ctx, &COMPUTE_NODE_TYPE, "ComputeNodeList",
                                         "get_all_by_host", args, kwargs, &error);

    if (nodes)
        return nodes;
    if (nova_error_is(error, NOVA_ERROR_COMPUTE_HOST_NOT_FOUND)) {
        nova_error_free(error);
        return g_ptr_array_new_with_free_func(object_free);
    }
    nova_error_propagate(err, error);
    return NULL;
}

GPtrArray *
conductor_compute_nodes_by_uuid(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                                NovaError **err)
{
    json_auto_t *args = json_pack("[[s]]", uuid);

    return class_action_list(conductor, ctx, &COMPUTE_NODE_TYPE, "ComputeNodeList",
                             "get_all_by_uuids", args, NULL, err);
}

bool
conductor_compute_node_create(Conductor *conductor, const RequestContext *ctx, ComputeNode *node,
                              NovaError **err)
{
    return conductor_object_action(conductor, ctx, node, "create", NULL, NULL, err);
}

bool
conductor_compute_node_save(Conductor *conductor, const RequestContext *ctx, ComputeNode *node,
                            NovaError **err)
{
    return conductor_object_action(conductor, ctx, node, "save", NULL, NULL, err);
}

/* ---- instances ---- */

static json_t *
expected_list(TaskStates expected)
{
    json_t *list = json_array();

    for (int state = 0; state < N_TASK_STATES; state++)
        if (expected & (UINT64_C(1) << state))
            json_array_append_new(list, state == TASK_STATE_NONE ? json_null()
                                                                  : json_string(task_state_names[state]));
    return list;
}

bool
conductor_save_instance(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                        TaskStates expected, NovaError **err)
{
    json_auto_t *kwargs = json_object();

    if (expected != EXPECT_ANY)
        json_object_set_new(kwargs, "expected_task_state", expected_list(expected));
    return conductor_object_action(conductor, ctx, instance, "save", kwargs, NULL, err);
}

bool
conductor_destroy_instance(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                           NovaError **err)
{
    return conductor_object_action(conductor, ctx, instance, "destroy", NULL, NULL, err);
}

static json_t *
attributes_list(const char *const *attributes)
{
    json_t *list = json_array();

    for (; attributes && *attributes; attributes++)
        json_array_append_new(list, json_string(*attributes));
    return list;
}

static json_t *
fetch_instance(Conductor *conductor, const RequestContext *ctx, const char *uuid,
               const char *const *attributes, NovaError **err)
{
    json_auto_t *args = json_pack("[s]", uuid);
    json_auto_t *kwargs = json_pack("{s:o}", "expected_attrs", attributes_list(attributes));

    return conductor_class_action(conductor, ctx, "Instance", "get_by_uuid", args, kwargs, err);
}

Instance *
conductor_instance_get(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                       const char *const *attributes, NovaError **err)
{
    json_auto_t *result = fetch_instance(conductor, ctx, uuid, attributes, err);

    return result ? instance_from_json(result, err) : NULL;
}

static bool
is_loaded(const Instance *instance, const char *attribute)
{
    const ObjectBase *base = &instance->base;

    for (unsigned i = 0; i < base->type->n_fields; i++)
        if (strcmp(base->type->fields[i].name, attribute) == 0)
            return base->set & (UINT64_C(1) << i);
    return true; /* a field that nothing of ours reads */
}

/* Nova reads unset fields one by one and with deleted rows; one call for all of them here. */
bool
conductor_instance_load(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                        const char *const *attributes, NovaError **err)
{
    g_autoptr(RequestContext) reader = request_context_elevated(ctx, "yes");
    const char *missing[16];
    json_auto_t *result = NULL;
    json_auto_t *updates = json_object();
    unsigned n = 0;

    for (; *attributes && n + 1 < G_N_ELEMENTS(missing); attributes++)
        if (!is_loaded(instance, *attributes))
            missing[n++] = *attributes;
    if (n == 0)
        return true;
    missing[n] = NULL;
    result = fetch_instance(conductor, reader, instance->uuid, missing, err);
    if (!result)
        return false;
    for (unsigned i = 0; i < n; i++) {
        json_t *value = json_path(result, "nova_object.data", missing[i], NULL);

        json_object_set(updates, missing[i], value ? value : json_null());
    }
    return object_load_fields(instance, updates, err);
}

GPtrArray *
conductor_instances_by_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                            const char *const *attributes, NovaError **err)
{
    json_auto_t *args = json_pack("[s]", host);
    json_auto_t *kwargs = json_pack("{s:o}", "expected_attrs", attributes_list(attributes));

    return class_action_list(conductor, ctx, &INSTANCE_TYPE, "InstanceList", "get_by_host", args,
                             kwargs, err);
}

GPtrArray *
conductor_instances_by_host_and_node(Conductor *conductor, const RequestContext *ctx,
                                     const char *host, const char *node,
                                     const char *const *attributes, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", host, node);
    json_auto_t *kwargs = json_pack("{s:o}", "expected_attrs", attributes_list(attributes));

    return class_action_list(conductor, ctx, &INSTANCE_TYPE, "InstanceList",
                             "get_by_host_and_node", args, kwargs, err);
}

GPtrArray *
conductor_instances_by_filters(Conductor *conductor, const RequestContext *ctx, json_t *filters,
                               const char *const *attributes, NovaError **err)
{
    json_auto_t *args = json_pack("[O]", filters);
    json_auto_t *kwargs = json_pack("{s:o, s:b}", "expected_attrs", attributes_list(attributes),
                                    "use_slave", 1);

    return class_action_list(conductor, ctx, &INSTANCE_TYPE, "InstanceList", "get_by_filters", args,
                             kwargs, err);
}

/* The data of the objects of a list's primitive; borrowed. */
static const json_t *
data_at(const json_t *list, size_t i)
{
    return json_get_object(json_array_get(json_path(list, "nova_object.data", "objects", NULL), i),
                           "nova_object.data");
}

/* The action that Nova takes an event of this request to; the newest for requests of no user. -1: none. */
static int64_t
find_action_id(const json_t *actions, const RequestContext *ctx)
{
    const json_t *action;

    for (size_t i = 0; (action = data_at(actions, i)); i++)
        if (strcmp(json_get_string(action, "request_id", ""), ctx->request_id) == 0)
            return json_get_int(action, "id", -1);
    return *ctx->project_id ? -1 : json_get_int(data_at(actions, 0), "id", -1);
}

static bool
has_event(const json_t *events, const char *name, const char *host)
{
    const json_t *event;

    for (size_t i = 0; (event = data_at(events, i)); i++)
        if (strcmp(json_get_string(event, "event", ""), name) == 0 &&
            strcmp(json_get_string(event, "host", ""), host) == 0)
            return true;
    return false;
}

bool
conductor_event_find(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                     const char *event, const char *host, bool *ret_found, NovaError **err)
{
    json_auto_t *of_instance = json_pack("[s]", uuid);
    json_auto_t *actions = conductor_class_action(conductor, ctx, "InstanceActionList",
                                                  "get_by_instance_uuid", of_instance, NULL, err);
    json_auto_t *of_action = NULL;
    json_auto_t *events = NULL;
    int64_t id;

    if (!actions)
        return false;
    id = find_action_id(actions, ctx);
    if (id < 0) {
        *ret_found = false;
        return true;
    }
    of_action = json_pack("[I]", (json_int_t)id);
    events = conductor_class_action(conductor, ctx, "InstanceActionEventList", "get_by_action",
                                    of_action, NULL, err);
    if (!events)
        return false;
    *ret_found = has_event(events, event, host);
    return true;
}

bool
conductor_event_start(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                      const char *event, const char *host, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", uuid, event);
    json_auto_t *kwargs = json_pack("{s:b, s:s}", "want_result", 0, "host", host);

    return class_action_void(conductor, ctx, "InstanceActionEvent", "event_start", args, kwargs,
                             err);
}

/* exception_to_dict()'s text: what a NovaException formatted, else only the class. */
static const char *
public_message(const NovaError *error)
{
    return nova_error_is(error, NOVA_ERROR_NOVA_EXCEPTION) ? nova_error_message(error)
                                                           : nova_error_class(error);
}

bool
conductor_event_finish(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                       const char *event, const NovaError *error, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", uuid, event);
    json_auto_t *kwargs =
        json_pack("{s:s?, s:s?, s:b}", "exc_val", error ? public_message(error) : NULL, "exc_tb",
                  error ? nova_error_details(error) : NULL, "want_result", 0);

    return class_action_void(conductor, ctx, "InstanceActionEvent", "event_finish_with_failure",
                             args, kwargs, err);
}

#define FAULT_MESSAGE_BYTES 255

static char *
fault_message(const NovaError *error)
{
    const char *text = public_message(error);
    g_autofree char *valid = g_utf8_make_valid(*text ? text : nova_error_class(error), -1);
    const char *end;

    if (strlen(valid) <= FAULT_MESSAGE_BYTES)
        return g_steal_pointer(&valid);
    end = g_utf8_find_prev_char(valid, valid + FAULT_MESSAGE_BYTES + 1);
    return g_strndup(valid, (gsize)(end - valid));
}

bool
conductor_fault_create(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                       const char *host, const NovaError *error, NovaError **err)
{
    int code = nova_error_code(error);
    g_autofree char *message = fault_message(error);
    json_auto_t *arguments = json_pack(
        "{s:{s:s, s:s, s:s, s:{s:s, s:i, s:s, s:s, s:s}, s:[s, s, s, s, s]}, s:s, s:[], s:{}}",
        "objinst", "nova_object.name", "InstanceFault", "nova_object.namespace", "nova",
        "nova_object.version", "1.2", "nova_object.data", "instance_uuid", uuid, "code", code,
        "message", message, "details", code == 500 ? nova_error_details(error) : "", "host", host,
        "nova_object.changes", "instance_uuid", "code", "message", "details", "host", "objmethod",
        "create", "args", "kwargs");
    json_auto_t *answer = rpc_call(conductor->client, ctx, &conductor_target, "object_action",
                                   arguments, 0, 0, err);

    return answer != NULL;
}

/* ---- what belongs to an instance ---- */

GPtrArray *
conductor_bdms_by_instance(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                           NovaError **err)
{
    json_auto_t *args = json_pack("[s]", uuid);

    return class_action_list(conductor, ctx, &BLOCK_DEVICE_MAPPING_TYPE, "BlockDeviceMappingList",
                             "get_by_instance_uuid", args, NULL, err);
}

bool
conductor_bdm_save(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                   NovaError **err)
{
    return conductor_object_action(conductor, ctx, bdm, "save", NULL, NULL, err);
}

bool
conductor_bdm_destroy(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                      NovaError **err)
{
    return conductor_object_action(conductor, ctx, bdm, "destroy", NULL, NULL, err);
}

bool
conductor_info_cache_refresh(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                             NovaError **err)
{
    json_auto_t *args = json_pack("[s]", instance->uuid);
    json_auto_t *result = conductor_class_action(conductor, ctx, "InstanceInfoCache",
                                                 "get_by_instance_uuid", args, NULL, err);
    InstanceInfoCache *fresh = result ? instance_info_cache_from_json(result, err) : NULL;

    if (!fresh)
        return false;
    instance_info_cache_free(instance->info_cache);
    OBJECT_SET(instance, info_cache, fresh);
    object_keep_field(instance, "info_cache");
    return true;
}

bool
conductor_info_cache_save(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                          const char *text, NovaError **err)
{
    InstanceInfoCache *cache = object_new(&INSTANCE_INFO_CACHE_TYPE);

    OBJECT_SET_STRING(cache, instance_uuid, instance->uuid);
    OBJECT_SET_STRING(cache, network_info, text);
    if (!conductor_object_action(conductor, ctx, cache, "save", NULL, NULL, err)) {
        instance_info_cache_free(cache);
        return false;
    }
    instance_info_cache_free(instance->info_cache);
    OBJECT_SET(instance, info_cache, cache);
    object_keep_field(instance, "info_cache");
    return true;
}

bool
conductor_vif_create(Conductor *conductor, const RequestContext *ctx, VirtualInterface *vif,
                     NovaError **err)
{
    return conductor_object_action(conductor, ctx, vif, "create", NULL, NULL, err);
}

bool
conductor_vif_destroy(Conductor *conductor, const RequestContext *ctx, VirtualInterface *vif,
                      NovaError **err)
{
    return conductor_object_action(conductor, ctx, vif, "destroy", NULL, NULL, err);
}

bool
conductor_vif_get(Conductor *conductor, const RequestContext *ctx, const char *port_id,
                  VirtualInterface **ret_vif, NovaError **err)
{
    json_auto_t *args = json_pack("[s]", port_id);
    json_auto_t *result = conductor_class_action(conductor, ctx, "VirtualInterface", "get_by_uuid",
                                                 args, NULL, err);

    if (!result)
        return false;
    *ret_vif = NULL;
    if (json_is_null(result))
        return true;
    *ret_vif = virtual_interface_from_json(result, err);
    return *ret_vif != NULL;
}

GPtrArray *
conductor_vifs_by_instance(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                           NovaError **err)
{
    json_auto_t *args = json_pack("[s]", uuid);

    return class_action_list(conductor, ctx, &VIRTUAL_INTERFACE_TYPE, "VirtualInterfaceList",
                             "get_by_instance_uuid", args, NULL, err);
}

bool
conductor_vifs_delete_by_instance(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                                  NovaError **err)
{
    json_auto_t *args = json_pack("[s]", uuid);

    return class_action_void(conductor, ctx, "VirtualInterface", "delete_by_instance_uuid", args,
                             NULL, err);
}

bool
conductor_console_auths_clean(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                              NovaError **err)
{
    json_auto_t *args = json_pack("[s]", uuid);

    return class_action_void(conductor, ctx, "ConsoleAuthToken", "clean_console_auths_for_instance",
                             args, NULL, err);
}

char *
conductor_console_authorize(Conductor *conductor, const RequestContext *ctx, json_t *data,
                            int64_t ttl_s, NovaError **err)
{
    json_t *changes = json_array();
    json_auto_t *message = NULL;
    json_auto_t *answer = NULL;
    const char *key;
    json_t *value;

    json_object_foreach (data, key, value)
        json_array_append_new(changes, json_string(key));
    message = json_pack("{s:{s:s, s:s, s:s, s:O, s:o}, s:s, s:[I], s:{}}", "objinst",
                        "nova_object.name", "ConsoleAuthToken", "nova_object.namespace", "nova",
                        "nova_object.version", version_for(conductor, "ConsoleAuthToken", "1.3"),
                        "nova_object.data", data, "nova_object.changes", changes, "objmethod",
                        "authorize", "args", (json_int_t)ttl_s, "kwargs");
    answer = call(conductor, ctx, "object_action", message, err);
    if (!answer)
        return NULL;
    if (!json_is_string(json_array_get(answer, 1)))
        nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "the conductor gave no console token");
    return g_strdup(json_string_value(json_array_get(answer, 1)));
}

/* ---- messages to others ---- */

bool
conductor_build_instances(Conductor *conductor, const RequestContext *ctx, json_t *args,
                          NovaError **err)
{
    return rpc_cast(conductor->client, ctx, &task_target, "build_instances", args, err);
}

bool
conductor_migrate_server(Conductor *conductor, const RequestContext *ctx, json_t *args,
                         int timeout_s, int monitor_s, NovaError **err)
{
    static const RpcTarget target = {"conductor", NULL, "compute_task", "1.20"};
    json_auto_t *answer =
        rpc_call(conductor->client, ctx, &target, "migrate_server", args, timeout_s, monitor_s, err);

    return answer != NULL;
}

static void
fanout(Conductor *conductor, const RequestContext *ctx, const char *method, json_t *args)
{
    g_autoptr(NovaError) error = NULL;

    if (!rpc_fanout(conductor->client, ctx, &scheduler_target, method, args, &error))
        LOG_WARNING("Telling the schedulers failed: %s: %s", method, nova_error_details(error));
}

void
conductor_scheduler_update(Conductor *conductor, const RequestContext *ctx, const char *host,
                           Instance *instance)
{
    json_auto_t *args = json_pack(
        "{s:s, s:{s:s, s:s, s:s, s:{s:[o]}, s:[s]}}", "host_name", host, "instance_info",
        "nova_object.name", "InstanceList", "nova_object.namespace", "nova", "nova_object.version",
        "2.6", "nova_object.data", "objects", object_to_json(instance), "nova_object.changes",
        "objects");

    fanout(conductor, ctx, "update_instance_info", args);
}

void
conductor_scheduler_delete(Conductor *conductor, const RequestContext *ctx, const char *host,
                           const char *uuid)
{
    json_auto_t *args = json_pack("{s:s, s:s}", "host_name", host, "instance_uuid", uuid);

    fanout(conductor, ctx, "delete_instance_info", args);
}

void
conductor_scheduler_sync(Conductor *conductor, const RequestContext *ctx, const char *host,
                         json_t *uuids)
{
    json_auto_t *args = json_pack("{s:s, s:O}", "host_name", host, "instance_uuids", uuids);

    fanout(conductor, ctx, "sync_instance_info", args);
}
