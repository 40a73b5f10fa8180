/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova"
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "agent/base/nova_error.h"
#include "compute/resource_tracker.h"
#include "conf/options_load.h"
#include "conf/provider_config.h"

/* What runs gets this long to end after TERM; the rest is for the next process. */
#define STOP_MS 2000
#define STOP_NOW_MS 0

static const char usage[] =
    "usage: kilonovad [--config-file FILE]... [--config-dir DIR]... [OPTION]...\n"
    "\n"
    "  --config-file FILE     read this configuration file (repeatable, the later wins)\n"
    "  --config-dir DIR       read the *.conf files of this folder, sorted\n"
    "  -d, --debug            log at DEBUG (--nodebug: at INFO)\n"
    "  --log-file FILE        log into FILE instead of standard error\n"
    "  --log-dir DIR          log into DIR/kilonovad.log\n"
    "  --use-journal          log into the journal\n"
    "  --use-json             log in JSON\n"
    "  --use-stderr           log to standard error, too\n"
    "  --check-config         read the configuration, say what is wrong with it, and exit\n"
    "  --print-sample-config  print every option with its default\n"
#ifdef ENABLE_FAIL_POINTS
    "  --list-fail-points     where this test build can be made to kill itself\n"
#endif
    "  --version\n"
    "  --help\n";

/* Options of ours that set one of nova.conf's. */
static const struct {
    const char *flag;
    const char *option;
    const char *value; /* NULL: the argument */
} overriding[] = {
    {"debug", "DEFAULT.debug", "true"},
    {"nodebug", "DEFAULT.debug", "false"},
    {"log-file", "DEFAULT.log_file", NULL},
    {"logfile", "DEFAULT.log_file", NULL},
    {"log-dir", "DEFAULT.log_dir", NULL},
    {"logdir", "DEFAULT.log_dir", NULL},
    {"log-date-format", "DEFAULT.log_date_format", NULL},
    {"use-journal", "DEFAULT.use_journal", "true"},
    {"nouse-journal", "DEFAULT.use_journal", "false"},
    {"use-json", "DEFAULT.use_json", "true"},
    {"nouse-json", "DEFAULT.use_json", "false"},
    {"use-stderr", "DEFAULT.use_stderr", "true"},
    {"nouse-stderr", "DEFAULT.use_stderr", "false"},
};
#define N_OVERRIDING G_N_ELEMENTS(overriding)
#define N_OWN 9 /* at most, with the end */

typedef enum MainMode {
    MODE_RUN,
    MODE_CHECK,
    MODE_SAMPLE,
    MODE_FAIL_POINTS,
    MODE_VERSION,
    MODE_HELP,
    MODE_WRONG,
} MainMode;

typedef struct CommandLine {
    MainMode mode;
    OptionsArguments arguments;
} CommandLine;

enum {
    FLAG_FILE = 256,
    FLAG_DIR,
    FLAG_CHECK,
    FLAG_SAMPLE,
    FLAG_FAIL_POINTS,
    FLAG_VERSION,
    FLAG_OVERRIDE, /* and the N_OVERRIDING after it */
};

static void
list_flags(struct option flags[N_OVERRIDING + N_OWN])
{
    static const struct option own[N_OWN] = {
        {"config-file", required_argument, NULL, FLAG_FILE},
        {"config-dir", required_argument, NULL, FLAG_DIR},
        {"check-config", no_argument, NULL, FLAG_CHECK},
        {"print-sample-config", no_argument, NULL, FLAG_SAMPLE},
#ifdef ENABLE_FAIL_POINTS
        {"list-fail-points", no_argument, NULL, FLAG_FAIL_POINTS},
#endif
        {"version", no_argument, NULL, FLAG_VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (size_t i = 0; i < N_OVERRIDING; i++)
        flags[i] = (struct option){overriding[i].flag,
                                   overriding[i].value ? no_argument : required_argument, NULL,
                                   FLAG_OVERRIDE + (int)i};
    memcpy(flags + N_OVERRIDING, own, sizeof own);
}

static void
override(CommandLine *line, size_t i)
{
    g_ptr_array_add(line->arguments.overrides,
                    g_strdup_printf("%s=%s", overriding[i].option,
                                    overriding[i].value ? overriding[i].value : optarg));
}

static void
take_flag(CommandLine *line, int flag)
{
    switch (flag) {
    case FLAG_FILE:
        g_ptr_array_add(line->arguments.sources, g_strconcat("file:", optarg, NULL));
        break;
    case FLAG_DIR:
        g_ptr_array_add(line->arguments.sources, g_strconcat("dir:", optarg, NULL));
        break;
    case FLAG_CHECK:
        line->mode = MODE_CHECK;
        break;
    case FLAG_SAMPLE:
        line->mode = MODE_SAMPLE;
        break;
    case FLAG_FAIL_POINTS:
        line->mode = MODE_FAIL_POINTS;
        break;
    case FLAG_VERSION:
        line->mode = MODE_VERSION;
        break;
    case 'h':
        line->mode = MODE_HELP;
        break;
    case 'd':
        override(line, 0);
        break;
    case '?':
        line->mode = MODE_WRONG;
        break;
    default:
        override(line, (size_t)(flag - FLAG_OVERRIDE));
        break;
    }
}

static void
read_command_line(CommandLine *line, int argc, char **argv)
{
    struct option flags[N_OVERRIDING + N_OWN];
    int flag;

    list_flags(flags);
    line->arguments = (OptionsArguments){
        .sources = g_ptr_array_new_with_free_func(g_free),
        .overrides = g_ptr_array_new_with_free_func(g_free),
        .environment = environ,
    };
    while (line->mode != MODE_WRONG && (flag = getopt_long(argc, argv, "dh", flags, NULL)) != -1)
        take_flag(line, flag);
    if (line->mode != MODE_WRONG && optind < argc) {
        fprintf(stderr, "kilonovad: unexpected argument '%s'\n", argv[optind]);
        line->mode = MODE_WRONG;
    }
}

static void
command_line_clear(CommandLine *line)
{
    g_ptr_array_unref(line->arguments.sources);
    g_ptr_array_unref(line->arguments.overrides);
}

/* ---- logging ---- */

/* oslo.log: log_file inside of log_dir, or a file of the program's name there. */
static char *
log_path(const Options *options)
{
    const char *file = options->default_group.log_file;
    const char *folder = options->default_group.log_dir;

    if (file && folder && !g_path_is_absolute(file))
        return g_build_filename(folder, file, NULL);
    if (!file && folder)
        return g_build_filename(folder, "kilonovad.log", NULL);
    return g_strdup(file);
}

static bool
start_logging(const Options *options)
{
    g_autofree char *path = log_path(options);
    g_autofree char *error = NULL;
    LogSettings settings = {
        .file = path,
        .use_journal = options->default_group.use_journal,
        .use_json = options->default_group.use_json,
        .use_stderr = options->default_group.use_stderr,
        .debug = options->default_group.debug,
        .date_format = options->default_group.log_date_format,
    };

    if (log_init(&settings, &error))
        return true;
    fprintf(stderr, "kilonovad: %s\n", error);
    return false;
}

static void
log_warnings(const GPtrArray *warnings)
{
    for (guint i = 0; i < warnings->len; i++)
        LOG_WARNING("%s", (const char *)warnings->pdata[i]);
}

/* ---- running ---- */

/* Threads wait most of the time, and what one leaves free the next can use: a heap for each would only cost
 * memory. */
#define N_HEAPS 1
/* What is as large as this, or at the end of the heap, goes back to the system as soon as it is free. Without a
 * figure given, the C library takes the largest block ever freed for the former and keeps 128 KiB of the latter. */
#define LARGE_BYTES (32 * 1024)
#define HEAP_RESERVE_BYTES (16 * 1024)

typedef struct Daemon {
    Options *options;
    const CommandLine *line;
    Agent *agent;
    int signals;
} Daemon;

static void
reload(Daemon *daemon)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *error = NULL;

    LOG_INFO("Reading the configuration again");
    if (!options_reload_mutable(daemon->options, &daemon->line->arguments, warnings, &error)) {
        LOG_ERROR("The configuration stays as it was: %s", error);
        return;
    }
    start_logging(daemon->options); /* a rotated file is opened anew */
    log_warnings(warnings);
    agent_reload(daemon->agent);
}

/* SIGTERM and SIGINT end the process, so does the agent itself. */
static int
wait_for_end(Daemon *daemon)
{
    struct pollfd fds[] = {{daemon->signals, POLLIN, 0}, {agent_failed_fd(daemon->agent), POLLIN, 0}};

    for (;;) {
        struct signalfd_siginfo info;

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return SIGTERM;
        if (fds[1].revents)
            return 0;
        if (!fds[0].revents || read(daemon->signals, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo == SIGHUP)
            reload(daemon);
        else if (info.ssi_signo == SIGUSR2)
            agent_log_state(daemon->agent);
        else
            return (int)info.ssi_signo;
    }
}

/* Every thread inherits the mask: signals arrive at the descriptor only. libopenvswitch installs
 * handlers of its own, which therefore never run. */
static int
open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Where nova.virt.node looks for compute_id. Strings are owned by the array. */
static GPtrArray *
list_id_folders(const Options *options)
{
    GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);
    const GPtrArray *files = options_files(options);

    for (guint i = 0; i < files->len; i++)
        g_ptr_array_add(folders, g_path_get_dirname(files->pdata[i]));
    g_ptr_array_add(folders, g_strdup(options->default_group.state_path));
    g_ptr_array_add(folders, NULL);
    return folders;
}

static int
run_agent(Daemon *daemon)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) folders = list_id_folders(daemon->options);
    AgentSettings settings = {daemon->options, (const char *const *)folders->pdata};
    int reason;

    daemon->agent = agent_start(&settings, &error);
    if (!daemon->agent) {
        LOG_CRITICAL("%s", nova_error_details(error));
        return EXIT_FAILURE;
    }
    sd_notify(0, "READY=1");
    reason = wait_for_end(daemon);
    sd_notify(0, "STOPPING=1");
    LOG_INFO("Ending: %s", reason ? strsignal(reason) : "the agent failed");
    if (!agent_stop(daemon->agent, reason == SIGTERM ? STOP_MS : STOP_NOW_MS)) {
        LOG_WARNING("Work was still under way; the next start takes it up");
        _exit(reason ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    return reason ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What a start would refuse. */
static bool
check_options(const CommandLine *line, const Options *options, NovaError **err)
{
    json_auto_t *providers = NULL;

    if (!resource_tracker_check_options(options, err))
        return false;
    if (line->mode == MODE_CHECK) /* a start reads them when it can log */
        providers = provider_configs_load(options->compute.provider_config_location, err);
    return providers || line->mode != MODE_CHECK;
}

static int
run(const CommandLine *line)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *error = NULL;
    g_autoptr(NovaError) wrong = NULL;
    Daemon daemon = {.line = line};
    int status = EXIT_FAILURE;

    if (!options_load(&line->arguments, &daemon.options, warnings, &error)) {
        fprintf(stderr, "kilonovad: %s\n", error);
        return EXIT_FAILURE;
    }
    if (!check_options(line, daemon.options, &wrong)) {
        fprintf(stderr, "kilonovad: %s\n", nova_error_message(wrong));
    } else if (line->mode == MODE_CHECK) {
        for (guint i = 0; i < warnings->len; i++)
            fprintf(stderr, "kilonovad: warning: %s\n", (const char *)warnings->pdata[i]);
        puts("The configuration is valid.");
        status = EXIT_SUCCESS;
    } else if (start_logging(daemon.options)) {
        LOG_INFO("Starting kilonovad %s", PACKAGE_VERSION);
        log_warnings(warnings);
        daemon.signals = open_signals();
        status = run_agent(&daemon);
        close(daemon.signals);
    }
    options_free(daemon.options);
    return status;
}

int
main(int argc, char **argv)
{
    CommandLine line = {0};
    int status = EXIT_SUCCESS;

    mallopt(M_ARENA_MAX, N_HEAPS);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TOP_PAD, HEAP_RESERVE_BYTES);
    read_command_line(&line, argc, argv);
    switch (line.mode) {
    case MODE_VERSION:
        puts("kilonovad " PACKAGE_VERSION);
        break;
    case MODE_HELP:
        fputs(usage, stdout);
        break;
    case MODE_SAMPLE:
        options_print_sample(stdout);
        break;
#ifdef ENABLE_FAIL_POINTS
    case MODE_FAIL_POINTS:
        fail_point_list(stdout);
        break;
#endif
    case MODE_WRONG:
        fputs(usage, stderr);
        status = 2;
        break;
    default:
        status = run(&line);
        break;
    }
    command_line_clear(&line);
    return status;
}
