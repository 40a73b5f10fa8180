/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/numa_command.h"
#include "agent/xml_command.h"

static const char usage[] =
    "usage: kilonovactl COMMAND\n"
    "\n"
    "  numa       questions about CPUs, memory and PCI devices as JSON lines on standard input, Nova's\n"
    "             answers as JSON lines on standard output\n"
    "  explain    fits as JSON lines on standard input, in words which cells were tried and what each\n"
    "             lacked on standard output\n"
    "  xml        requests as JSON lines on standard input, the domain XML that each would give as\n"
    "             JSON lines on standard output\n"
    "  --version\n"
    "  --help\n";

static const struct {
    const char *name;
    int (*run)(FILE *in, FILE *out);
} commands[] = {
    {"numa", numa_command},
    {"explain", explain_command},
    {"xml", xml_command},
};

int
main(int argc, char **argv)
{
    const char *command = argc == 2 ? argv[1] : "";

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(command, commands[i].name) == 0)
            return commands[i].run(stdin, stdout);
    }
    if (strcmp(command, "--version") == 0) {
        puts("kilonovactl " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(command, "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    fputs(usage, stderr);
    return 2;
}
