/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into either agent: each call that starts, pauses or changes a guest adds a line to the file
 * $LIBVIRT_TIME_FILE: its name, the milliseconds it spent inside of libvirt, and when it ended
 * (CLOCK_MONOTONIC, in milliseconds). */

#include <dlfcn.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void
note(const char *name, double began)
{
    double ended = now_ms();
    const char *path = getenv("LIBVIRT_TIME_FILE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;

    if (fd < 0)
        return;
    dprintf(fd, "%s %.3f %.3f\n", name, ended - began, ended);
    close(fd);
}

/* Python's module brings libvirt in for itself alone, where RTLD_NEXT does not look. */
static void *
libvirt_symbol(const char *name)
{
    void *libvirt = dlopen("libvirt.so.0", RTLD_LAZY);
    void *symbol = libvirt ? dlsym(libvirt, name) : NULL;

    if (!symbol) {
        dprintf(STDERR_FILENO, "libvirt_time: no %s\n", name);
        abort();
    }
    return symbol;
}

#define TIMED(type, name, parameters, arguments)      \
    type name parameters                              \
    {                                                 \
        type(*real) parameters;                       \
        double began = now_ms();                      \
        type result;                                  \
                                                      \
        *(void **)&real = libvirt_symbol(#name);      \
        result = real arguments;                      \
        note(#name, began);                           \
        return result;                                \
    }

TIMED(virDomainPtr, virDomainDefineXML, (virConnectPtr conn, const char *xml), (conn, xml))
TIMED(virDomainPtr, virDomainDefineXMLFlags, (virConnectPtr conn, const char *xml, unsigned int flags),
      (conn, xml, flags))
TIMED(int, virDomainCreate, (virDomainPtr domain), (domain))
TIMED(int, virDomainCreateWithFlags, (virDomainPtr domain, unsigned int flags), (domain, flags))
TIMED(int, virDomainResume, (virDomainPtr domain), (domain))
TIMED(int, virDomainSuspend, (virDomainPtr domain), (domain))
TIMED(int, virDomainAttachDeviceFlags, (virDomainPtr domain, const char *xml, unsigned int flags), (domain, xml, flags))
TIMED(int, virDomainUpdateDeviceFlags, (virDomainPtr domain, const char *xml, unsigned int flags), (domain, xml, flags))
TIMED(int, virDomainDetachDeviceFlags, (virDomainPtr domain, const char *xml, unsigned int flags), (domain, xml, flags))
TIMED(int, virDomainDetachDeviceAlias, (virDomainPtr domain, const char *alias, unsigned int flags),
      (domain, alias, flags))
