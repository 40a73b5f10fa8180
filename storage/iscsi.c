/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.iscsi"
#include "storage/iscsi.h"

#include <string.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/scsi.h"

/* iscsiadm's exit codes */
#define DATABASE_HAS_IT 6 /* of --op new */
#define SESSION_EXISTS 15
#define NO_RECORDS 21
#define OLD_NOT_FOUND 255

#define DELETE_ATTEMPTS 5

/* ---- targets ---- */

static void
free_target(void *item)
{
    IscsiTarget *target = item;

    g_free(target->portal);
    g_free(target->iqn);
    g_free(target);
}

static int64_t
lun_number(const json_t *lun)
{
    return json_is_string(lun) ? g_ascii_strtoll(json_string_value(lun), NULL, 10) : json_integer_value(lun);
}

/* iscsiadm and a path are given these: nothing that could be an option or a way out of a folder. */
static bool
is_plain(const char *text)
{
    return text && *text && *text != '-' && !strpbrk(text, "/ \t\n");
}

static bool
add_target(GPtrArray *targets, const json_t *data, const char *portal, const char *iqn, const json_t *lun,
           NovaError **err)
{
    IscsiTarget *target;

    if (!is_plain(portal) || !is_plain(iqn))
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'target_portal' or 'target_iqn'");
    target = g_new0(IscsiTarget, 1);
    target->portal = g_strndup(portal, strcspn(portal, ","));
    target->iqn = g_strdup(iqn);
    target->lun = scsi_address_lun(lun_number(lun), json_get_string(data, "addressing_mode", "SAM"));
    g_ptr_array_add(targets, target);
    return true;
}

GPtrArray *
iscsi_targets(const json_t *data, NovaError **err)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(free_target);
    json_t *portals = json_get_array(data, "target_portals");
    json_t *iqns = json_get_array(data, "target_iqns");
    json_t *luns = json_get_array(data, "target_luns");
    json_t *lun = json_object_get(data, "target_lun");

    for (size_t i = 0; iqns && i < json_array_size(portals); i++)
        if (!add_target(targets, data, json_string_value(json_array_get(portals, i)),
                        json_string_value(json_array_get(iqns, i)), luns ? json_array_get(luns, i) : lun, err))
            return NULL;
    if (targets->len == 0 && !add_target(targets, data, json_get_string(data, "target_portal", NULL),
                                         json_get_string(data, "target_iqn", NULL), lun, err))
        return NULL;
    return g_steal_pointer(&targets);
}

/* ---- iscsiadm ---- */

/* Exit codes that are no failure. */
typedef struct Accepted {
    int codes[3];
    int n;
} Accepted;

static const Accepted none_accepted = {{0}, 0};

static bool
is_accepted(const Accepted *accepted, int status)
{
    for (int i = 0; i < accepted->n; i++)
        if (accepted->codes[i] == status)
            return true;
    return status == 0;
}

/* What iscsiadm was asked for is not quoted: it may be a password. */
static bool
judge(const CommandResult *result, const char *what, const Accepted *accepted, NovaError **err)
{
    g_autofree char *text = g_strdup(result->errors);

    return is_accepted(accepted, result->exit_status) ||
           nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR, "iscsiadm %s: exit code %d: %s", what,
                          result->exit_status, g_strstrip(text));
}

/* iscsiadm -m node -T IQN -p PORTAL and up to five more words. */
static bool
node_command(const IscsiTarget *target, const char *const *words, CommandResult *ret_result, NovaError **err)
{
    const char *argv[16] = {"iscsiadm", "-m", "node", "-T", target->iqn, "-p", target->portal};
    const CommandLimits limits = {0};
    int n = 7;

    for (; *words; words++)
        argv[n++] = *words;
    return command_run_unchecked(argv, &limits, ret_result, err);
}

static bool
run(const IscsiTarget *target, const char *const *words, const Accepted *accepted, NovaError **err)
{
    g_auto(CommandResult) result = {0};

    return node_command(target, words, &result, err) &&
           judge(&result, *words ? *words : "-m node", accepted, err);
}

static bool
update(const IscsiTarget *target, const char *name, const char *value, const Accepted *accepted,
       NovaError **err)
{
    const char *const words[] = {"--op", "update", "-n", name, "-v", value, NULL};

    return run(target, words, accepted, err);
}

/* ---- sessions ---- */

/* "tcp: [1] 192.0.2.1:3260,1 iqn.2010-10.org.openstack:volume-x (non-flash)" */
static char *
session_of_line(const char *line, const IscsiTarget *target)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    size_t length;

    if (g_strv_length(words) < 4 || (strcmp(words[0], "tcp:") != 0 && strcmp(words[0], "iser:") != 0) ||
        *words[1] != '[' || strcmp(words[3], target->iqn) != 0)
        return NULL;
    words[2][strcspn(words[2], ",")] = '\0';
    if (g_ascii_strcasecmp(words[2], target->portal) != 0)
        return NULL;
    length = strspn(words[1] + 1, "0123456789");
    return length > 0 ? g_strndup(words[1] + 1, length) : NULL;
}

char *
iscsi_find_session(const char *sessions, const IscsiTarget *target)
{
    g_auto(GStrv) lines = g_strsplit(sessions, "\n", -1);
    char *session = NULL;

    for (char **line = lines; *line && !session; line++)
        session = session_of_line(*line, target);
    return session;
}

bool
iscsi_session(const IscsiTarget *target, char **ret_session, NovaError **err)
{
    static const Accepted accepted = {{NO_RECORDS, OLD_NOT_FOUND}, 2};
    const char *const argv[] = {"iscsiadm", "-m", "session", NULL};
    const CommandLimits limits = {0};
    g_auto(CommandResult) result = {0};

    if (!command_run_unchecked(argv, &limits, &result, err) || !judge(&result, "-m session", &accepted, err))
        return false;
    *ret_session = iscsi_find_session(result.out, target);
    return true;
}

/* ---- login ---- */

/* The record of the target, made unless it is there. */
static bool
make_record(const IscsiTarget *target, const char *interface, NovaError **err)
{
    static const Accepted unknown = {{NO_RECORDS, OLD_NOT_FOUND}, 2};
    static const Accepted exists = {{DATABASE_HAS_IT}, 1};
    const char *const nothing[] = {NULL};
    const char *const words[] = {"--interface", interface, "--op", "new", NULL};
    g_auto(CommandResult) result = {0};

    if (!node_command(target, nothing, &result, err) || !judge(&result, "-m node", &unknown, err))
        return false;
    return result.exit_status == 0 || run(target, words, &exists, err);
}

static bool
set_credentials(const IscsiTarget *target, const json_t *data, NovaError **err)
{
    static const char *const pairs[][2] = {
        {"node.session.auth.authmethod", "auth_method"},
        {"node.session.auth.username", "auth_username"},
        {"node.session.auth.password", "auth_password"},
    };

    if (!json_get_string(data, "auth_method", NULL))
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        const char *value = json_get_string(data, pairs[i][1], NULL);

        if (!value)
            return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", pairs[i][1]);
        if (!update(target, pairs[i][0], value, &none_accepted, err))
            return false;
    }
    return true;
}

static bool
log_in(const IscsiTarget *target, NovaError **err)
{
    static const Accepted exists = {{SESSION_EXISTS}, 1};
    const char *const words[] = {"--login", NULL};

    FAIL_POINT("iscsi.login:before", NULL);
    if (!run(target, words, &exists, err))
        return false;
    FAIL_POINT("iscsi.login:after", NULL);
    return update(target, "node.startup", "automatic", &none_accepted, err);
}

static bool
prepare(const IscsiTarget *target, const json_t *data, const char *interface, NovaError **err)
{
    g_autoptr(NovaError) error = NULL;

    if (!make_record(target, interface, err))
        return false;
    if (!update(target, "node.session.scan", "manual", &none_accepted, &error))
        LOG_WARNING("This iscsiadm scans for all LUNs of a target: %s", nova_error_details(error));
    return set_credentials(target, data, err);
}

char *
iscsi_login(const IscsiTarget *target, const json_t *data, const char *interface, NovaError **err)
{
    char *session = NULL;

    LOG_INFO("Trying to connect to iSCSI portal %s", target->portal);
    if (!prepare(target, data, interface, err) || !iscsi_session(target, &session, err))
        return NULL;
    if (session)
        return session;
    if (!log_in(target, err) || !iscsi_session(target, &session, err))
        return NULL;
    if (!session)
        nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR, "iSCSI target %s on %s has no session",
                       target->iqn, target->portal);
    return session;
}

bool
iscsi_logout(const IscsiTarget *target, NovaError **err)
{
    static const Accepted gone = {{NO_RECORDS, OLD_NOT_FOUND}, 2};
    const char *const log_out[] = {"--logout", NULL};
    const char *const forget[] = {"--op", "delete", NULL};
    NovaError *error = NULL;

    FAIL_POINT("iscsi.logout:before", NULL);
    if (!update(target, "node.startup", "manual", &gone, err) || !run(target, log_out, &gone, err))
        return false;
    FAIL_POINT("iscsi.logout:after", NULL);
    for (int attempt = 1; !run(target, forget, &gone, &error); attempt++) {
        if (attempt == DELETE_ATTEMPTS)
            return nova_error_propagate(err, error);
        g_clear_pointer(&error, nova_error_free);
        g_usleep(200 * 1000);
    }
    return true;
}
