/* SPDX-License-Identifier: Apache-2.0 */
/* A server and a client on the agent's own message bus code, for tests/functional/test_rpc.py.
 *
 *   [RPC_ECHO_EXCHANGE=nova] [RPC_ECHO_DEBUG=1] rpc_echo URL TOPIC SERVER
 *
 * Serves TOPIC (and TOPIC-alt): "echo" gives its args back, "slow" waits args.seconds first on a
 * thread of its own, "fail" raises InstanceNotFound; each request is a line on stdout. Commands
 * on stdin, one JSON object a line: {"do": "call"|"cast"|"fanout"|"notify"|"state"|"quit", "topic",
 * "server", "method", "args", "timeout", "monitor"}; each is answered by a line. */

#include <glib.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/rpc/rpc_client.h"
#include "agent/rpc/rpc_server.h"

#define LOG_NAME "rpc_echo"

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;

/* Takes ownership. */
static void
print_line(json_t *line)
{
    g_autofree char *text = json_dumps(line, JSON_COMPACT | JSON_ENCODE_ANY);

    pthread_mutex_lock(&output_lock);
    printf("%s\n", text);
    fflush(stdout);
    pthread_mutex_unlock(&output_lock);
    json_decref(line);
}

static void
answer(RpcRequest *request)
{
    NovaError *error = NULL;

    if (strcmp(request->method, "fail") == 0) {
        nova_error_set(&error, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.",
                       json_get_string(request->args, "instance_id", "?"));
        nova_error_set_kwarg(error, "instance_id", json_get_string(request->args, "instance_id", "?"));
        rpc_reply_failure(request, error);
        nova_error_free(error);
    } else {
        rpc_reply_result(request, request->args);
        rpc_reply_result(request, json_null()); /* the second answer must not go out */
    }
    rpc_request_free(request);
}

static void *
answer_slowly(void *data)
{
    RpcRequest *request = data;

    g_usleep((gulong)(json_get_double(request->args, "seconds", 1) * G_USEC_PER_SEC));
    answer(request);
    return NULL;
}

static void
on_request(RpcRequest *request, void *data)
{
    pthread_t thread;

    (void)data;
    print_line(json_pack("{s:s, s:s, s:O, s:s, s:b}", "request", request->method, "topic",
                         request->topic, "args", request->args, "request_id",
                         request->ctx->request_id, "call", rpc_request_wants_reply(request)));
    if (strcmp(request->method, "slow") == 0 &&
        pthread_create(&thread, NULL, answer_slowly, request) == 0) {
        pthread_detach(thread);
        return;
    }
    answer(request);
}

static bool
journal(RpcRequest *request, void *data)
{
    (void)data;
    return request->raw && request->raw_length == strlen(request->raw);
}

static json_t *
run_command(RpcClient *client, RpcServer *server, AmqpSender *sender, json_t *command)
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    g_autoptr(NovaError) error = NULL;
    const char *action = json_get_string(command, "do", "");
    const char *method = json_get_string(command, "method", "echo");
    json_t *args = json_object_get(command, "args");
    RpcTarget target = {
        .topic = json_get_string(command, "topic", "peer"),
        .server = json_get_string(command, "server", NULL),
        .namespace = json_get_string(command, "namespace", NULL),
        .version = json_get_string(command, "version", "1.0"),
    };
    json_t *result = NULL;

    if (strcmp(action, "call") == 0)
        result = rpc_call(client, ctx, &target, method, args,
                          (int)json_get_int(command, "timeout", 0),
                          (int)json_get_int(command, "monitor", 0), &error);
    else if (strcmp(action, "cast") == 0)
        result = rpc_cast(client, ctx, &target, method, args, &error) ? json_true() : NULL;
    else if (strcmp(action, "fanout") == 0)
        result = rpc_fanout(client, ctx, &target, method, args, &error) ? json_true() : NULL;
    else if (strcmp(action, "notify") == 0)
        rpc_notify(client, ctx, target.topic,
                   &(RpcNotification){.publisher_id = "compute.host", .event_type = method,
                                      .priority = "INFO", .payload = args, .retry = -1});
    else if (strcmp(action, "state") == 0)
        return json_pack("{s:b, s:b, s:i}", "consuming", rpc_server_is_consuming(server),
                         "connected", amqp_sender_is_connected(sender), "queued",
                         (int)amqp_sender_queue_length(sender));
    if (error)
        return json_pack("{s:s, s:s}", "error", nova_error_class(error), "message",
                         nova_error_message(error));
    return json_pack("{s:o}", "result", result ? result : json_null());
}

static void
serve_commands(RpcClient *client, RpcServer *server, AmqpSender *sender)
{
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        json_auto_t *command = json_parse(line, strlen(line), NULL);

        if (strcmp(json_get_string(command, "do", ""), "quit") == 0)
            break;
        print_line(run_command(client, server, sender, command));
    }
    free(line);
}

int
main(int argc, char **argv)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(TransportSettings) settings = NULL;
    RpcServerCallbacks callbacks = {.on_request = on_request, .journal = journal};
    LogSettings log_settings = {.debug = g_getenv("RPC_ECHO_DEBUG") != NULL};
    g_autofree char *alternate = NULL;
    char *log_error = NULL;

    if (argc != 4) {
        fprintf(stderr, "usage: rpc_echo URL TOPIC SERVER\n");
        return 2;
    }
    if (!log_init(&log_settings, &log_error) || !(settings = transport_settings_new(argv[1], &error))) {
        fprintf(stderr, "%s\n", log_error ? log_error : nova_error_message(error));
        return 1;
    }
    if (g_getenv("RPC_ECHO_EXCHANGE")) {
        g_free(settings->control_exchange);
        settings->control_exchange = g_strdup(g_getenv("RPC_ECHO_EXCHANGE"));
    }
    alternate = g_strconcat(argv[2], "-alt", NULL);
    {
        g_autoptr(AmqpSender) sender = amqp_sender_new(settings);
        g_autoptr(RpcClient) client = rpc_client_new(settings, sender);
        const char *topics[] = {argv[2], alternate, NULL};
        g_autoptr(RpcServer) server = rpc_server_new(settings, sender, topics, argv[3], &callbacks);

        if (rpc_server_wait_consuming(server, 1000))
            print_line(json_pack("{s:b}", "consuming", 1));
        serve_commands(client, server, sender);
        rpc_server_stop(server);
        rpc_client_stop(client);
        amqp_sender_stop(sender, 2000);
    }
    return 0;
}
