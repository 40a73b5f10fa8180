/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/xml_command.h"

static const char usage[] = "usage: kilonovactl COMMAND\n"
                            "\n"
                            "  xml        requests as JSON lines on standard input, the domain XML that each would\n"
                            "             give as JSON lines on standard output\n"
                            "  --version\n"
                            "  --help\n";

int
main(int argc, char **argv)
{
    const char *command = argc == 2 ? argv[1] : "";

    if (strcmp(command, "xml") == 0)
        return xml_command(stdin, stdout);
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
