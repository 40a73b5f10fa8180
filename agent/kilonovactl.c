/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_command.h"
#include "agent/numa_command.h"
#include "agent/xml_command.h"

#define SOCKET "/var/lib/nova/kilonovad.sock"

static const char usage[] =
    "usage: kilonovactl [OPTION]... COMMAND\n"
    "\n"
    "asks the running agent:\n"
    "  status     connections, lanes, the requests under way with their step and age in seconds\n"
    "  instances  the host's instances as the database has them beside libvirt's domains\n"
    "  verify     where database, libvirt, Open vSwitch, Placement and files do not say the same;\n"
    "             exit 1 when there is such a thing; --heal mends what belongs to deleted instances and\n"
    "             plugs missing ports\n"
    "  drain      takes no more requests, waits until none runs; what is queued is for the next start\n"
    "\n"
    "needs no agent:\n"
    "  numa       questions about CPUs, memory and PCI devices as JSON lines on standard input, Nova's\n"
    "             answers as JSON lines on standard output\n"
    "  explain    fits as JSON lines on standard input, in words which cells were tried and what each\n"
    "             lacked on standard output\n"
    "  xml        requests as JSON lines on standard input, the domain XML that each would give as\n"
    "             JSON lines on standard output\n"
    "\n"
    "  --json         print JSON instead of tables\n"
    "  --socket PATH  the agent's socket (" SOCKET ")\n"
    "  --version\n"
    "  --help\n";

static const struct {
    const char *name;
    int (*run)(FILE *in, FILE *out);
} filters[] = {
    {"numa", numa_command},
    {"explain", explain_command},
    {"xml", xml_command},
};

static int
run(const char *name, const AgentCommandLine *line)
{
    int status;

    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        if (strcmp(name, filters[i].name) == 0)
            return filters[i].run(stdin, stdout);
    if (agent_command(name, line, stdout, &status))
        return status;
    fputs(usage, stderr);
    return 2;
}

int
main(int argc, char **argv)
{
    static const struct option flags[] = {
        {"json", no_argument, NULL, 'j'},   {"heal", no_argument, NULL, 'H'},
        {"socket", required_argument, NULL, 's'}, {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},   {NULL, 0, NULL, 0},
    };
    AgentCommandLine line = {.socket = SOCKET};
    int flag;

    while ((flag = getopt_long(argc, argv, "h", flags, NULL)) != -1) {
        switch (flag) {
        case 'j':
            line.as_json = true;
            break;
        case 'H':
            line.heal = true;
            break;
        case 's':
            line.socket = optarg;
            break;
        case 'V':
            puts("kilonovactl " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    return run(optind == argc - 1 ? argv[optind] : "", &line);
}
