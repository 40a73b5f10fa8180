/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova"
#include "agent/agent.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "conf/options_load.h"

/* What runs gets this long to end after TERM; the rest is for the next process. */
#define STOP_MS 4500

static const char usage[] =
    "usage: kilonovad [--config-file FILE]... [--config-dir DIR]... [--debug] [--log-file FILE]\n"
    "                 [--log-dir DIR] [--use-journal] [--use-json]\n"
    "       kilonovad --check-config [--config-file FILE]...\n"
    "       kilonovad --print-sample-config\n"
    "       kilonovad --version\n";

typedef enum MainMode {
    MODE_RUN,
    MODE_CHECK,
    MODE_SAMPLE,
    MODE_VERSION,
    MODE_HELP,
} MainMode;

enum {
    OPTION_CHECK = 256,
    OPTION_SAMPLE,
    OPTION_VERSION,
    OPTION_FILE,
    OPTION_DIR,
    OPTION_SET,
};
