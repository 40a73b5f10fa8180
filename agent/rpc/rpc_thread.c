/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/rpc_thread.h"

#include <signal.h>
#include <string.h>

#define STACK_BYTES (256 * 1024)

pthread_t
rpc_thread_start(const char *name, void *(*run)(void *data), void *data)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int status;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&thread, &attr, run, data);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (status != 0)
        g_error("thread %s: %s", name, g_strerror(status));
    pthread_setname_np(thread, name);
    return thread;
}

void
rpc_thread_join(pthread_t thread, int timeout_ms, AmqpLink *link)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    if (pthread_timedjoin_np(thread, NULL, &until) == 0)
        return;
    amqp_link_interrupt(link);
    pthread_join(thread, NULL);
}
