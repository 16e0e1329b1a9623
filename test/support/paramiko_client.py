# A client of paramiko's, as somebody would write it: a program with its streams, files, and forwards.
import logging, socket, sys, threading, time
import paramiko

way, port, user, login, target, keyfile, what, *rest = sys.argv[1:]
key = paramiko.Ed25519Key.from_private_key_file(keyfile)


def connected(sock, name):
    transport = paramiko.Transport(sock)
    transport.connect(username=name, pkey=key)
    return transport


def copy(source, sink):
    def run():
        while data := source.recv(65536):
            sink.sendall(data)
        try:
            sink.shutdown(1)
        except OSError:
            pass

    threading.Thread(target=run, daemon=True).start()


def joined(one, other):
    copy(one, other)
    copy(other, one)


def listen(at, host, to):
    server = socket.create_server(("127.0.0.1", at))
    while True:
        near, peer = server.accept()
        joined(near, t.open_channel("direct-tcpip", (host, to), peer))


def forward(words):
    direction, at, host, to = words.split(":")
    if direction == "L":
        threading.Thread(target=listen, args=(int(at), host, int(to)), daemon=True).start()
    else:
        t.request_port_forward("localhost", int(at), lambda c, *_: joined(c, socket.create_connection((host, int(to)))))


if what == "tunnel":
    logging.basicConfig(level=logging.INFO)  # where it says why a server has disconnected
if way == "-J":
    outer = connected(("127.0.0.1", int(port)), user)
    t = connected(outer.open_channel("direct-tcpip", (target, 22), ("127.0.0.1", 0)), login)
else:
    t = connected(("127.0.0.1", int(port)), login + "@" + target)

if what == "tunnel":
    for words in rest:
        forward(words)
    print("ready", flush=True)
    while t.is_active():
        time.sleep(0.05)
    sys.exit(255)

if what == "sftp":
    files = paramiko.SFTPClient.from_transport(t)
    for line in sys.stdin:
        verb, *names = line.split()
        {"put": files.put, "get": files.get, "rename": files.rename}[verb](*names)
    sys.exit(0)

c = t.open_session()
if what == "terminal":
    c.get_pty()
if rest:
    c.exec_command(" ".join(rest))
else:
    c.invoke_shell()


def feed():
    while data := sys.stdin.buffer.read1(65536):
        c.sendall(data)
    c.shutdown_write()


def complain():
    while data := c.recv_stderr(65536):
        sys.stderr.buffer.write(data)
        sys.stderr.flush()


threading.Thread(target=feed, daemon=True).start()
errors = threading.Thread(target=complain)
errors.start()
while data := c.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
errors.join()
status = c.recv_exit_status()
sys.exit(status if status >= 0 else 255)
