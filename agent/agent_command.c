/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_command.h"

#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/control_socket.h"

#define STATUS_DRIFT 1
#define STATUS_NO_AGENT 3
#define DRAIN_POLL_US (500 * 1000)

/* ---- tables ---- */

typedef struct Column {
    const char *key;
    const char *title;
} Column;

/* What a cell says; caller frees. */
static char *
cell_text(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);

    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_integer(value))
        return g_strdup_printf("%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return g_strdup_printf("%.1f", json_real_value(value));
    return g_strdup("-");
}

static int
column_width(const json_t *rows, const Column *column)
{
    size_t width = strlen(column->title), i;
    json_t *row;

    json_array_foreach (rows, i, row) {
        g_autofree char *text = cell_text(row, column->key);

        width = MAX(width, strlen(text));
    }
    return (int)width;
}

/* 'columns' ends with a row without a key. */
static void
print_table(FILE *out, const json_t *rows, const Column *columns)
{
    size_t i;
    json_t *row;

    for (const Column *column = columns; column->key; column++)
        fprintf(out, "%-*s%s", column_width(rows, column), column->title, column[1].key ? "  " : "\n");
    json_array_foreach (rows, i, row)
        for (const Column *column = columns; column->key; column++) {
            g_autofree char *text = cell_text(row, column->key);

            fprintf(out, "%-*s%s", column[1].key ? column_width(rows, column) : 0, text,
                    column[1].key ? "  " : "\n");
        }
}

/* ---- one function a command: prints the answer, returns the exit status ---- */

static const char *
up_or_down(const json_t *connections, const char *name)
{
    return json_get_bool(connections, name, false) ? "up" : "DOWN";
}

/* {name: {...}} → [{"name": name, ...}]; new reference. */
static json_t *
rows_of_object(const json_t *object)
{
    json_t *rows = json_array(), *value;
    const char *key;

    json_object_foreach ((json_t *)object, key, value) {
        json_t *row = json_copy(value);

        json_set_string(row, "name", key);
        json_array_append_new(rows, row);
    }
    return rows;
}

static int
print_status(FILE *out, const json_t *status)
{
    static const Column lane_columns[] = {
        {"name", "LANE"}, {"queued", "QUEUED"}, {"running", "RUNNING"}, {"threads", "THREADS"}, {NULL, NULL}};
    static const Column job_columns[] = {
        {"age_s", "AGE"}, {"state", "STATE"}, {"method", "METHOD"}, {"instance", "INSTANCE"},
        {"step", "STEP"}, {"request", "REQUEST"}, {NULL, NULL}};
    const json_t *connections = json_object_get(status, "connections");
    const json_t *journal = json_object_get(status, "journal");
    const json_t *jobs = json_object_get(status, "jobs");
    json_auto_t *lanes = rows_of_object(json_object_get(status, "lanes"));
    const char *waiting_for = json_get_string(status, "waiting_for", NULL);

    fprintf(out, "host %s, node %s: %s%s%s\n", json_get_string(status, "host", "-"),
            json_get_string(status, "node", "-"), json_get_string(status, "state", "-"),
            waiting_for ? ", waiting for " : "", waiting_for ? waiting_for : "");
    fprintf(out, "bus %s (%lld messages to send), requests %s, libvirt %s, Open vSwitch %s\n",
            up_or_down(connections, "bus"), (long long)json_get_int(connections, "messages_to_send", 0),
            up_or_down(connections, "requests"), up_or_down(connections, "libvirt"),
            up_or_down(connections, "openvswitch"));
    fprintf(out, "journal: %lld open requests, %lld bytes\n\n", (long long)json_get_int(journal, "open", 0),
            (long long)json_get_int(journal, "bytes", 0));
    print_table(out, lanes, lane_columns);
    if (json_array_size(jobs) > 0) {
        fputc('\n', out);
        print_table(out, jobs, job_columns);
    }
    return 0;
}

static int
print_instances(FILE *out, const json_t *rows)
{
    static const Column columns[] = {
        {"uuid", "INSTANCE"}, {"vm_state", "STATE"}, {"task_state", "TASK"}, {"power_state", "POWER"},
        {"libvirt", "LIBVIRT"}, {"domain", "DOMAIN"}, {"name", "NAME"}, {NULL, NULL}};

    print_table(out, rows, columns);
    return 0;
}

static int
print_verify(FILE *out, const json_t *answer)
{
    static const Column columns[] = {
        {"instance", "INSTANCE"}, {"state", "STATE"}, {"what", "WHAT"}, {"detail", "DETAIL"}, {NULL, NULL}};
    const json_t *drift = json_object_get(answer, "drift");
    size_t i;
    json_t *text;

    if (json_array_size(drift) > 0)
        print_table(out, drift, columns);
    else
        fputs("no drift\n", out);
    json_array_foreach (json_object_get(answer, "unread"), i, text)
        fprintf(out, "not compared: %s\n", json_string_value(text));
    return 0;
}

/* Drift that is left, and what could not be compared, are no success. */
static int
judge_verify(const json_t *answer)
{
    size_t i;
    json_t *drift;

    if (json_array_size(json_object_get(answer, "unread")) > 0)
        return STATUS_DRIFT;
    json_array_foreach (json_object_get(answer, "drift"), i, drift)
        if (strcmp(json_get_string(drift, "state", ""), "mended") != 0)
            return STATUS_DRIFT;
    return 0;
}

static int
judge_nothing(const json_t *answer G_GNUC_UNUSED)
{
    return 0;
}

static const struct {
    const char *name;
    int (*print)(FILE *out, const json_t *answer);
    int (*judge)(const json_t *answer);
} commands[] = {
    {"status", print_status, judge_nothing},
    {"instances", print_instances, judge_nothing},
    {"verify", print_verify, judge_verify},
    {"drain", print_status, judge_nothing},
};

/* ---- asking ---- */

static bool
has_running_jobs(const json_t *status)
{
    size_t i;
    json_t *job;

    json_array_foreach (json_object_get(status, "jobs"), i, job)
        if (strcmp(json_get_string(job, "state", ""), "running") == 0)
            return true;
    return false;
}

/* The answer to 'drain' is the status once nothing runs any more. */
static json_t *
ask(const char *name, const AgentCommandLine *line, NovaError **err)
{
    json_auto_t *request = json_pack("{s:s, s:b}", "command", name, "heal", line->heal);
    json_auto_t *status_request = json_pack("{s:s}", "command", "status");
    json_t *answer = control_socket_ask(line->socket, request, err);

    while (answer && strcmp(name, "drain") == 0 && has_running_jobs(answer)) {
        json_decref(answer);
        g_usleep(DRAIN_POLL_US);
        answer = control_socket_ask(line->socket, status_request, err);
    }
    return answer;
}

static int
print_json(FILE *out, const json_t *answer)
{
    json_dumpf(answer, out, JSON_INDENT(2) | JSON_SORT_KEYS);
    fputc('\n', out);
    return 0;
}

bool
agent_command(const char *name, const AgentCommandLine *line, FILE *out, int *ret_status)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autoptr(NovaError) error = NULL;
        json_auto_t *answer = NULL;

        if (strcmp(commands[i].name, name) != 0)
            continue;
        answer = ask(name, line, &error);
        if (answer) {
            (line->as_json ? print_json : commands[i].print)(out, answer);
            *ret_status = commands[i].judge(answer);
        } else {
            fprintf(stderr, "kilonovactl: %s\n", nova_error_details(error));
            *ret_status = STATUS_NO_AGENT;
        }
        return true;
    }
    return false;
}
