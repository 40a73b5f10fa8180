# SPDX-License-Identifier: Apache-2.0
"""Kilonova's message bus against oslo.messaging itself, in both directions, on a real broker.

    KILONOVA_TEST_BROKER=rabbit://user:pass@host:port/  python3 test_rpc.py [PATH/rpc_echo]

needs oslo.messaging; skips with a reason without either. KILONOVA_TEST_BROKER_RESTART may hold a
command that restarts the broker."""

import json
import os
import queue
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid

try:
    import kombu
    import oslo_messaging
    from oslo_concurrency import lockutils
    from oslo_config import cfg
except ImportError:
    oslo_messaging = None

BROKER = os.environ.get("KILONOVA_TEST_BROKER")
RESTART = os.environ.get("KILONOVA_TEST_BROKER_RESTART")
ECHO = os.environ.get("RPC_ECHO", "tests/functional/rpc_echo")

OPTION_SETS = {
    "default": "",
    "quorum": "rabbit_quorum_queue=true",
    "quorum_limits": "rabbit_quorum_queue=true&rabbit_quorum_delivery_limit=5"
                     "&rabbit_quorum_max_memory_length=1000&rabbit_quorum_max_memory_bytes=1000000",
    "durable": "amqp_durable_queues=true",
    "auto_delete": "amqp_auto_delete=true",
    "transient_quorum": "rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true",
    "stream": "rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true"
              "&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10",
    "queue_manager": "use_queue_manager=true&hostname=kilonova-test&processname=%d" % os.getpid(),
    "ha": "rabbit_ha_queues=true",
    "no_expiry": "rabbit_transient_queues_ttl=0",
    "cancel_on_failover": "enable_cancel_on_failover=true",
}


def broker_url(address=None, query=""):
    parts = urllib.parse.urlsplit(BROKER)
    netloc = parts.netloc
    if address:
        netloc = netloc.rsplit("@", 1)[0] + "@" + address
    return f"{parts.scheme}://{netloc}{parts.path or '/'}" + ("?" + query if query else "")


def broker_address():
    parts = urllib.parse.urlsplit(BROKER)
    return parts.hostname, parts.port or 5672


def wait_for(condition, seconds=20, what="condition"):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


class Proxy:
    """TCP between rpc_echo and the broker that can be cut, refused or frozen."""

    def __init__(self):
        self.listener = None
        self.pairs = []
        self.frozen = threading.Event()
        self.open()
        self.port = self.listener.getsockname()[1]

    def open(self, port=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(broker_address())
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                while self.frozen.is_set():
                    time.sleep(0.05)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def refuse(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def accept_again(self):
        self.open(self.port)


class TlsProxy:
    """TLS in front of the broker; one thread a connection, which reads and writes both ends."""

    def __init__(self, certificate, key, client_ca=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        try:
            with self.context.wrap_socket(near, server_side=True) as tls, \
                    socket.create_connection(broker_address()) as far:
                while True:
                    ready = [tls] if tls.pending() else select.select([tls, far], [], [])[0]
                    for source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        (far if source is tls else tls).sendall(data)
        except OSError:
            pass


class Echo:
    """The program under test."""

    def __init__(self, url, topic, server="h1", exchange="nova"):
        self.log = []
        self.requests = queue.Queue()
        self.answers = queue.Queue()
        env = dict(os.environ, RPC_ECHO_EXCHANGE=exchange, RPC_ECHO_DEBUG="1")
        self.process = subprocess.Popen([ECHO, url, topic, server], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=env)
        threading.Thread(target=self._read_output, daemon=True).start()
        self.log_reader = threading.Thread(target=self._read_log, daemon=True)
        self.log_reader.start()

    def _read_output(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "request" in message:
                self.requests.put(message)
            elif list(message) != ["consuming"]:
                self.answers.put(message)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def post(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def do(self, seconds=20, **command):
        self.post(**command)
        return self.answers.get(timeout=seconds)

    def wait_consuming(self, seconds=20):
        wait_for(lambda: self.do(do="state")["consuming"], seconds, "consuming")

    def has_logged(self, text):
        return any(text in line for line in self.log)

    def close(self):
        try:
            self.post(do="quit")
            code = self.process.wait(timeout=15)
        finally:
            self.process.kill()
        self.log_reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        return code


class Endpoint:
    def __init__(self):
        self.calls = queue.Queue()

    def echo(self, ctxt, **args):
        self.calls.put(args)
        return args

    def slow(self, ctxt, seconds):
        time.sleep(seconds)
        return "done"

    def fail(self, ctxt, **args):
        raise ValueError("no good")


class RpcCase(unittest.TestCase):
    def setUp(self):
        if not BROKER:
            self.skipTest("KILONOVA_TEST_BROKER is not set")
        if not oslo_messaging:
            self.skipTest("oslo.messaging is not installed")
        unique = uuid.uuid4().hex[:8]
        self.topic = "topic" + unique
        self.exchange = "exchange" + unique

    def start_echo(self, url=None, query="", **kwargs):
        echo = Echo(url or broker_url(query=query), kwargs.pop("topic", self.topic),
                    exchange=self.exchange, **kwargs)
        self.addCleanup(self.finish, echo)
        echo.wait_consuming()
        return echo

    def finish(self, echo):
        """A sanitizer's complaint is an exit status, too."""
        code = echo.close() if echo.process.poll() is None else echo.process.returncode
        self.assertEqual(code, 0, "".join(echo.log[-40:]))

    def transport(self, query=""):
        # The global one: the library registers its metrics and tracing options only there.
        cfg.CONF([], default_config_files=[])
        lockutils.set_defaults(lock_path=tempfile.gettempdir())  # for the queue manager
        transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=broker_url(query=query))
        self.addCleanup(transport.cleanup)
        return transport

    def client(self, transport, server="h1", fanout=None, topic=None, **kwargs):
        target = oslo_messaging.Target(topic=topic or self.topic, server=server, fanout=fanout,
                                       exchange=self.exchange, version="1.0")
        return oslo_messaging.get_rpc_client(transport, target, **kwargs)

    def peer(self, transport, topic=None):
        endpoint = Endpoint()
        target = oslo_messaging.Target(topic=topic or self.topic, server="peer1",
                                       exchange=self.exchange)
        server = oslo_messaging.get_rpc_server(transport, target, [endpoint], executor="threading")
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        return endpoint


class OsloCallsUs(RpcCase):
    def test_call_cast_failure_fanout(self):
        echo = self.start_echo()
        transport = self.transport()
        client = self.client(transport)
        self.assertEqual(client.call({"request_id": "req-1"}, "echo", a=[1, {"b": "ü"}]),
                         {"a": [1, {"b": "ü"}]})
        self.assertEqual(echo.requests.get(timeout=5)["request_id"], "req-1")
        with self.assertRaises(oslo_messaging.RemoteError) as caught:
            client.call({}, "fail", instance_id="i-1")
        self.assertEqual(caught.exception.exc_type, "InstanceNotFound")
        self.assertTrue(echo.requests.get(timeout=5)["call"])
        client.cast({}, "echo", n=2)
        self.assertEqual(echo.requests.get(timeout=5)["call"], False)
        self.client(transport, server=None, fanout=True).cast({}, "echo", n=3)
        self.assertEqual(echo.requests.get(timeout=5)["args"], {"n": 3})
        self.client(transport, server=None, topic=self.topic + "-alt").cast({}, "echo", n=4)
        self.assertEqual(echo.requests.get(timeout=5)["topic"], self.topic + "-alt")
        self.assertEqual(echo.close(), 0)

    def test_keepalives_hold_a_monitored_call(self):
        self.start_echo()
        client = self.client(self.transport(), timeout=30, call_monitor_timeout=2)
        self.assertEqual(client.call({}, "slow", seconds=5), {"seconds": 5})

    def test_no_keepalive_without_monitor(self):
        self.start_echo()
        client = self.client(self.transport(), timeout=30)
        self.assertEqual(client.call({}, "slow", seconds=4), {"seconds": 4})

    def test_malformed_messages_are_skipped(self):
        echo = self.start_echo()
        nested = "[" * 5000 + "]" * 5000
        bodies = ["", "{", "null", "[1]", nested, '{"oslo.version":"2.0","oslo.message":' + nested + "}",
                  '{"oslo.version":"2.0","oslo.message":"[]"}', '{"oslo.version":"9.0","oslo.message":"{}"}',
                  '{"method":7,"args":[]}', '{"method":"echo","args":3}', '{"a":1e999}',
                  '{"method":"echo","args":{},"_context_timestamp":"never"}']
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            for body in bodies:
                connection.Producer().publish(body, routing_key=self.topic + ".h1",
                                              exchange=self.exchange, content_encoding="utf-8",
                                              content_type="application/json")
        self.assertEqual(self.client(self.transport()).call({}, "echo", still="here"),
                         {"still": "here"})
        self.assertEqual(echo.requests.get(timeout=5)["args"], {"still": "here"})

    def test_bad_context_is_answered(self):
        self.start_echo()
        with self.assertRaises(Exception) as caught:
            self.client(self.transport(), timeout=5).call({"timestamp": "never"}, "echo")
        self.assertNotIsInstance(caught.exception, oslo_messaging.MessagingTimeout)

    def test_duplicates_are_ignored(self):
        echo = self.start_echo()
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(
            {"method": "echo", "args": {"n": 1}, "version": "1.0", "_unique_id": uuid.uuid4().hex})})
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            for _ in range(3):
                connection.Producer().publish(body, routing_key=self.topic, exchange=self.exchange,
                                              content_encoding="utf-8",
                                              content_type="application/json")
        self.client(self.transport()).call({}, "echo", n=2)
        seen = [echo.requests.get(timeout=5)["args"]["n"] for _ in range(2)]
        self.assertEqual(sorted(seen), [1, 2])

    def test_large_message(self):
        self.start_echo()
        text = "x" * (5 << 20)
        self.assertEqual(self.client(self.transport()).call({}, "echo", text=text)["text"], text)

    def test_compressed_message(self):
        self.start_echo()
        client = self.client(self.transport("kombu_compression=gzip"))
        self.assertEqual(client.call({}, "echo", text="ü" * 10000), {"text": "ü" * 10000})


class WeCallOslo(RpcCase):
    def test_compressed_reply(self):
        peer_topic = self.topic + "peer"
        self.peer(self.transport("kombu_compression=gzip"), peer_topic)
        echo = self.start_echo()
        self.assertEqual(echo.do(do="call", topic=peer_topic, args={"a": "ü" * 10000}), {"result": {"a": "ü" * 10000}})

    def test_call_cast_failure_fanout_timeout(self):
        peer_topic = self.topic + "peer"
        endpoint = self.peer(self.transport(), peer_topic)
        echo = self.start_echo()
        self.assertEqual(echo.do(do="call", topic=peer_topic, args={"a": "ü"}),
                         {"result": {"a": "ü"}})
        self.assertEqual(endpoint.calls.get(timeout=5), {"a": "ü"})
        self.assertEqual(echo.do(do="cast", topic=peer_topic, server="peer1", args={"b": 1}),
                         {"result": True})
        self.assertEqual(endpoint.calls.get(timeout=5), {"b": 1})
        self.assertEqual(echo.do(do="fanout", topic=peer_topic, args={"c": 1}), {"result": True})
        self.assertEqual(endpoint.calls.get(timeout=5), {"c": 1})
        self.assertEqual(echo.do(do="call", topic=peer_topic, method="fail", args={})["error"],
                         "ValueError")
        self.assertEqual(echo.do(do="call", topic=peer_topic, method="nowhere", args={})["error"],
                         "NoSuchMethod")
        started = time.monotonic()
        answer = echo.do(do="call", topic="nobody" + self.topic, timeout=2)
        self.assertEqual(answer["error"], "MessagingTimeout")
        self.assertLess(time.monotonic() - started, 4)

    def test_monitored_call(self):
        self.peer(self.transport(), self.topic + "peer")
        echo = self.start_echo()
        answer = echo.do(do="call", topic=self.topic + "peer", method="slow", args={"seconds": 5},
                         timeout=20, monitor=2)
        self.assertEqual(answer, {"result": "done"})

    def test_monitor_gives_up_on_silence(self):
        echo = self.start_echo()
        started = time.monotonic()
        answer = echo.do(do="call", topic="nobody" + self.topic, timeout=30, monitor=1)
        self.assertEqual(answer["error"], "MessagingTimeout")
        self.assertLess(time.monotonic() - started, 5)

    def test_notification_waits_in_its_queue(self):
        echo = self.start_echo()
        topic = "notes" + self.topic
        echo.do(do="notify", topic=topic, method="compute.x.start", args={"p": 1})
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            notes = connection.SimpleQueue(kombu.Queue(topic + ".info", durable=False),
                                           queue_opts={"durable": False})
            message = notes.get(timeout=5)
            message.ack()
            inner = json.loads(message.payload["oslo.message"])
        self.assertEqual((inner["event_type"], inner["priority"], inner["payload"]),
                         ("compute.x.start", "INFO", {"p": 1}))


class OptionSets(RpcCase):
    """The same queues, declared by both sides, in both orders: a difference would close channels."""

    def both(self, name, oslo_first):
        query = OPTION_SETS[name]
        transport = self.transport(query)
        endpoint = self.peer(transport) if oslo_first else None
        echo = self.start_echo(query=query, server="peer1")
        if not oslo_first:
            endpoint = self.peer(transport)
        client = self.client(self.transport(query), server=None, fanout=True)
        time.sleep(1)
        client.cast({}, "echo", fan=1)
        self.assertEqual(endpoint.calls.get(timeout=10), {"fan": 1})
        self.assertEqual(echo.requests.get(timeout=10)["args"], {"fan": 1})
        client = self.client(self.transport(query), server="peer1")
        self.assertEqual([client.call({}, "echo", n=n) for n in range(4)],
                         [{"n": n} for n in range(4)])
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 9}), {"result": {"n": 9}})
        self.assertEqual(echo.do(do="fanout", topic=self.topic, args={"fan": 2}), {"result": True})
        self.assertEqual([line for line in echo.log if " ERROR " in line or "WARNING" in line], [])
        self.assertEqual(echo.close(), 0)


def add_option_tests():
    for name in OPTION_SETS:
        for oslo_first in (False, True):
            def test(self, name=name, oslo_first=oslo_first):
                self.both(name, oslo_first)
            setattr(OptionSets, f"test_{name}_{'oslo' if oslo_first else 'kilonova'}_first", test)


add_option_tests()


class Faults(RpcCase):
    def test_deleted_queues_come_back(self):
        echo = self.start_echo()
        echo.do(do="call", topic=self.topic, server="h1", args={})
        name = self.reply_queue(echo)
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            for queue_name in (self.topic, self.topic + ".h1", self.topic + "-alt.h1", name):
                connection.default_channel.queue_delete(queue_name)
        time.sleep(1)
        self.assertEqual(self.client(self.transport(), timeout=10).call({}, "echo", n=1), {"n": 1})
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 2}), {"result": {"n": 2}})

    def reply_queue(self, echo):
        """Learnt as its server would: from a request that nobody answers."""
        topic = "spy" + self.topic
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            exchange = kombu.Exchange(self.exchange, "topic", durable=False)
            spy = kombu.Queue(topic, exchange, routing_key=topic, durable=False)
            simple = connection.SimpleQueue(spy)
            echo.post(do="call", topic=topic, timeout=1)
            message = simple.get(timeout=5)
            message.ack()
        echo.answers.get(timeout=5)
        return json.loads(message.payload["oslo.message"])["_reply_q"]

    def test_lost_connections_come_back(self):
        proxy = Proxy()
        echo = self.start_echo(broker_url(f"127.0.0.1:{proxy.port}"))
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 1}), {"result": {"n": 1}})
        proxy.refuse()
        wait_for(lambda: not echo.do(do="state")["consuming"], 10, "noticing")
        echo.post(do="cast", topic=self.topic, server="h1", args={"n": 2})
        time.sleep(1)
        proxy.accept_again()
        self.assertEqual(echo.answers.get(timeout=20), {"result": True})
        self.assertEqual(self.next_request(echo, 2)["args"], {"n": 2})
        self.assertTrue(echo.has_logged("is unreachable: "))
        self.assertTrue(echo.has_logged("Trying again in "))
        wait_for(lambda: echo.has_logged("Reconnected to AMQP server"), 10, "log")
        echo.wait_consuming()
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 3}), {"result": {"n": 3}})

    def next_request(self, echo, n):
        while True:
            request = echo.requests.get(timeout=10)
            if request["args"].get("n") == n:
                return request

    def test_a_call_survives_a_lost_connection(self):
        proxy = Proxy()
        self.peer(self.transport(), self.topic + "peer")
        echo = self.start_echo(broker_url(f"127.0.0.1:{proxy.port}"))
        echo.do(do="call", topic=self.topic + "peer", args={})
        echo.post(do="call", topic=self.topic + "peer", method="slow", args={"seconds": 3},
                  timeout=30)
        time.sleep(1)
        proxy.cut()
        self.assertEqual(echo.answers.get(timeout=20), {"result": "done"})

    def test_nothing_is_lost_or_doubled_while_the_link_breaks(self):
        proxy = Proxy()
        echo = self.start_echo(broker_url(f"127.0.0.1:{proxy.port}",
                                          "kombu_reconnect_delay=0.1&rabbit_qos_prefetch_count=20"))
        for n in range(600):
            echo.post(do="cast", topic=self.topic, server="h1", args={"n": n})
        for _ in range(3):
            time.sleep(0.1)
            proxy.cut()
            wait_for(lambda: len(proxy.pairs) >= 2, 20, "reconnecting")
        for _ in range(600):
            self.assertEqual(echo.answers.get(timeout=30), {"result": True})
        seen = [echo.requests.get(timeout=10)["args"]["n"] for _ in range(600)]
        self.assertEqual(sorted(seen), list(range(600)))
        time.sleep(1)
        self.assertTrue(echo.requests.empty())

    def test_idle_for_three_heartbeat_periods(self):
        echo = self.start_echo(query="heartbeat_timeout_threshold=3")
        echo.do(do="call", topic=self.topic, server="h1", args={})
        time.sleep(10)
        self.assertEqual(echo.do(do="call", topic=self.topic, server="h1", args={"n": 1}),
                         {"result": {"n": 1}})
        self.assertFalse(echo.has_logged("unreachable"))

    def test_frozen_broker_is_noticed(self):
        proxy = Proxy()
        echo = self.start_echo(broker_url(f"127.0.0.1:{proxy.port}",
                                          "heartbeat_timeout_threshold=2"))
        proxy.frozen.set()
        wait_for(lambda: not echo.do(do="state")["consuming"], 15, "noticing")
        proxy.cut()
        proxy.frozen.clear()
        echo.wait_consuming(40)

    def test_stop_is_quick_with_a_frozen_broker(self):
        proxy = Proxy()
        echo = self.start_echo(broker_url(f"127.0.0.1:{proxy.port}"))
        proxy.frozen.set()
        started = time.monotonic()
        self.assertEqual(echo.close(), 0)
        self.assertLess(time.monotonic() - started, 15)

    def test_late_reply_queue_gets_its_reply(self):
        self.start_echo()
        reply_q = "reply_" + uuid.uuid4().hex
        body = {"method": "echo", "args": {"n": 1}, "version": "1.0", "_msg_id": uuid.uuid4().hex,
                "_reply_q": reply_q, "_timeout": None, "_unique_id": uuid.uuid4().hex}
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            connection.Producer().publish(
                {"oslo.version": "2.0", "oslo.message": json.dumps(body)},
                routing_key=self.topic, exchange=self.exchange)
            time.sleep(1)
            others = self.client(self.transport(), timeout=10)
            self.assertEqual(others.call({}, "echo", n=2), {"n": 2})
            replies = connection.SimpleQueue(kombu.Queue(reply_q, durable=False))
            inner = json.loads(replies.get(timeout=5).payload["oslo.message"])
            self.assertEqual((inner["result"], inner["ending"]), ({"n": 1}, True))
            with self.assertRaises(queue.Empty):
                replies.get(timeout=1)

    def wrong(self, url, text):
        echo = Echo(url, self.topic, exchange=self.exchange)
        wait_for(lambda: echo.has_logged(text), 10, text)
        self.assertTrue(echo.has_logged("Trying again in "))
        self.assertFalse(echo.do(do="state")["consuming"])
        self.assertEqual(echo.close(), 0)

    def test_wrong_password(self):
        host, port = broker_address()
        self.wrong(f"rabbit://guest:wrong@{host}:{port}/", "(403) ACCESS_REFUSED")

    def test_wrong_virtual_host(self):
        self.wrong(broker_url().rstrip("/") + "/nowhere", "(530) NOT_ALLOWED")

    def test_broker_down_at_start(self):
        proxy = Proxy()
        proxy.refuse()
        echo = Echo(broker_url(f"127.0.0.1:{proxy.port}"), self.topic, exchange=self.exchange)
        wait_for(lambda: echo.has_logged("Connection refused. Trying"), 10, "log")
        proxy.accept_again()
        echo.wait_consuming()
        self.assertEqual(echo.close(), 0)

    def test_second_host_takes_over(self):
        dead = socket.socket()
        dead.bind(("127.0.0.1", 0))
        user = urllib.parse.urlsplit(BROKER).netloc.rsplit("@", 1)[0]
        host, port = broker_address()
        url = f"rabbit://{user}@127.0.0.1:{dead.getsockname()[1]},{user}@{host}:{port}/"
        for _ in range(3):
            echo = self.start_echo(url, topic=self.topic + uuid.uuid4().hex[:4])
            self.assertEqual(echo.close(), 0)

    def test_conflicting_exchange_falls_back(self):
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            kombu.Exchange(self.exchange, "topic", durable=False)(connection).declare()
        echo = self.start_echo(query="amqp_durable_queues=true")
        self.assertTrue(echo.has_logged("conflicting configurations"))
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 1}), {"result": {"n": 1}})

    def test_conflicting_queue_is_reported_and_heals(self):
        name = self.topic + ".h1"
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            kombu.Queue(name, durable=True, max_length=5)(connection).declare()
            echo = Echo(broker_url(), self.topic, exchange=self.exchange)
            wait_for(lambda: echo.has_logged("PRECONDITION_FAILED"), 10, "log")
            connection.default_channel.queue_delete(name)
        echo.wait_consuming()
        self.assertEqual(echo.close(), 0)

    def test_clean_stop_deletes_the_fanout_queue(self):
        echo = self.start_echo()
        self.assertEqual(echo.close(), 0)
        with kombu.Connection(broker_url().replace("rabbit://", "amqp://")) as connection:
            with self.assertRaises(Exception) as caught:
                connection.default_channel.exchange_declare(self.topic + "_fanout", "fanout",
                                                            passive=True)
        self.assertEqual(caught.exception.code, 404)  # auto_delete: its last queue is gone

    def test_broker_restart(self):
        if not RESTART:
            self.skipTest("KILONOVA_TEST_BROKER_RESTART is not set")
        echo = self.start_echo()
        echo.do(do="call", topic=self.topic, args={})
        subprocess.run(RESTART, shell=True, check=True)
        wait_for(lambda: echo.has_logged("Reconnected"), 60, "reconnecting")
        echo.wait_consuming(60)
        self.assertEqual(echo.do(do="call", topic=self.topic, server="h1", args={"n": 1},
                                 seconds=70), {"result": {"n": 1}})


class Tls(RpcCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        for ca in ("ca", "other"):
            cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        for name, san in (("right", "IP:127.0.0.1,DNS:localhost"), ("wrong", "DNS:elsewhere")):
            cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                        "-keyout", f"{name}.key", "-out", f"{name}.csr")
            with open(cls.path("extensions"), "w") as extensions:
                extensions.write(f"subjectAltName={san}\n")
            cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                        "-CAcreateserial", "-days", "2", "-extfile", "extensions",
                        "-out", f"{name}.pem")

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], cwd=cls.folder.name, check=True,
                       capture_output=True)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def url(self, certificate, query, host="127.0.0.1", client_ca=None):
        proxy = TlsProxy(self.path(certificate + ".pem"), self.path(certificate + ".key"),
                         client_ca and self.path(client_ca))
        return broker_url(f"{host}:{proxy.port}", "ssl=true&" + query)

    def works(self, url):
        echo = self.start_echo(url)
        text = "x" * 300000
        answer = echo.do(do="call", topic=self.topic, args={"text": text})
        self.assertEqual(answer, {"result": {"text": text}})

    def fails(self, url, text):
        echo = Echo(url, self.topic, exchange=self.exchange)
        self.addCleanup(self.finish, echo)
        wait_for(lambda: echo.has_logged(text), 10, text)
        self.assertFalse(echo.do(do="state")["consuming"])

    def test_verified_address(self):
        self.works(self.url("right", "ssl_ca_file=" + self.path("ca.pem")))

    def test_verified_name(self):
        self.works(self.url("right", "ssl_ca_file=" + self.path("ca.pem"), "localhost"))

    def test_without_ca_nothing_is_verified(self):
        self.works(self.url("wrong", ""))

    def test_wrong_ca(self):
        self.fails(self.url("right", "ssl_ca_file=" + self.path("other.pem")),
                   "certificate verify failed")

    def test_wrong_name(self):
        self.fails(self.url("wrong", "ssl_ca_file=" + self.path("ca.pem")),
                   "certificate verify failed")

    def test_missing_ca_file(self):
        self.fails(self.url("right", "ssl_ca_file=/nowhere.pem"), "/nowhere.pem")

    def test_client_certificate(self):
        query = "ssl_ca_file={0}&ssl_cert_file={1}&ssl_key_file={2}".format(
            self.path("ca.pem"), self.path("wrong.pem"), self.path("wrong.key"))
        self.works(self.url("right", query, client_ca="ca.pem"))

    def test_idle_with_heartbeats(self):
        url = self.url("right", "heartbeat_timeout_threshold=2")
        echo = self.start_echo(url)
        time.sleep(7)
        self.assertEqual(echo.do(do="call", topic=self.topic, args={"n": 1}), {"result": {"n": 1}})
        self.assertFalse(echo.has_logged("unreachable"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        ECHO = sys.argv.pop(1)
    unittest.main(verbosity=2)
