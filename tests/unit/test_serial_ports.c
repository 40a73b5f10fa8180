/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "compute/serial_ports.h"

#define FIRST 27311 /* below the ports that the kernel gives to whoever connects */
#define HOST "127.0.0.1"

static SerialPorts *
ports_of_range(const char *range)
{
    Options options = {.serial_console = {.port_range = (char *)range}};

    return serial_ports_new(&options);
}

static int
acquire(SerialPorts *ports)
{
    int port = -1;

    return serial_ports_acquire(ports, HOST, &port, NULL) ? port : -1;
}

static int
listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, HOST, &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void
port_is_given_once_until_it_is_back(void **state G_GNUC_UNUSED)
{
    SerialPorts *ports = ports_of_range("27311:27313");
    g_autoptr(NovaError) error = NULL;
    int port;

    assert_int_equal(acquire(ports), FIRST);
    assert_int_equal(acquire(ports), FIRST + 1);
    assert_false(serial_ports_acquire(ports, HOST, &port, &error)); /* the range's end is not in it */
    assert_int_equal(nova_error_kind(error), NOVA_ERROR_SOCKET_PORT_RANGE_EXHAUSTED_EXCEPTION);
    assert_string_equal(nova_error_message(error), "Not able to acquire a free port for " HOST);
    serial_ports_release(ports, HOST, FIRST);
    assert_int_equal(acquire(ports), FIRST);
    serial_ports_free(ports);
}

static void
port_that_is_listened_on_is_passed_over(void **state G_GNUC_UNUSED)
{
    SerialPorts *ports = ports_of_range("27311:27320");
    int fd = listen_on(FIRST);

    assert_int_equal(acquire(ports), FIRST + 1);
    close(fd);
    serial_ports_free(ports);
}

static void
nonsense_range_is_the_default(void **state G_GNUC_UNUSED)
{
    const char *ranges[] = {"20:10", "x", "5", ""};

    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        SerialPorts *ports = ports_of_range(ranges[i]);

        assert_in_range(acquire(ports), 10000, 19999);
        serial_ports_free(ports);
    }
}

#define TCP(device, mode, service)                                                                 \
    "<" device " type='tcp'><source mode='" mode "' host='" HOST "' service='" service "'/></" device ">"

static void
ports_of_a_domain_are_its_serial_lines(void **state G_GNUC_UNUSED)
{
    static const char xml[] = "<domain><devices><serial type='pty'/>" TCP("serial", "connect", "7")
        TCP("serial", "bind", "10002") TCP("console", "bind", "10009") "</devices></domain>";
    g_autoptr(GPtrArray) bound = serial_ports_of_domain(xml, true);
    g_autoptr(GPtrArray) all = serial_ports_of_domain(xml, false);
    g_autoptr(GPtrArray) s390 =
        serial_ports_of_domain("<domain><devices>" TCP("console", "bind", "10003") "</devices></domain>", true);
    g_autoptr(GPtrArray) none = serial_ports_of_domain("no xml", true);

    assert_int_equal(bound->len, 1);
    assert_int_equal(((SerialPort *)bound->pdata[0])->port, 10002);
    assert_string_equal(((SerialPort *)bound->pdata[0])->host, HOST);
    assert_int_equal(all->len, 2);
    assert_int_equal(((SerialPort *)s390->pdata[0])->port, 10003);
    assert_int_equal(none->len, 0);
}

static void
domain_gives_its_ports_back(void **state G_GNUC_UNUSED)
{
    SerialPorts *ports = ports_of_range("27311:27312");

    assert_int_equal(acquire(ports), FIRST);
    assert_int_equal(acquire(ports), -1);
    serial_ports_release_domain(ports, "<domain><devices>" TCP("serial", "bind", "27311") "</devices></domain>");
    assert_int_equal(acquire(ports), FIRST);
    serial_ports_free(ports);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_is_given_once_until_it_is_back),
        cmocka_unit_test(port_that_is_listened_on_is_passed_over),
        cmocka_unit_test(nonsense_range_is_the_default),
        cmocka_unit_test(ports_of_a_domain_are_its_serial_lines),
        cmocka_unit_test(domain_gives_its_ports_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
