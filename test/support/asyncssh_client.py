# A client of asyncssh's, as somebody would write it: a program with its streams, files, and forwards.
import asyncio, sys
import asyncssh

way, port, user, login, target, keyfile, what, *rest = sys.argv[1:]


class Client(asyncssh.SSHClient):
    def connection_lost(self, why):
        if why:
            print(why, file=sys.stderr)


def connect(host, at, name, **more):
    return asyncssh.connect(
        host, at, username=name, client_keys=[keyfile], known_hosts=None, agent_path=None, config=None, client_factory=Client, **more
    )


async def connected():
    if way != "-J":
        return await connect("127.0.0.1", int(port), login + "@" + target)
    return await connect(target, 22, login, tunnel=await connect("127.0.0.1", int(port), user))


async def tunnel(connection):
    for words in rest:
        direction, at, host, to = words.split(":")
        if direction == "L":
            await connection.forward_local_port("127.0.0.1", int(at), host, int(to))
        else:
            await connection.forward_remote_port("localhost", int(at), host, int(to))
    print("ready", flush=True)
    await connection.wait_closed()
    return 255


async def files(connection):
    async with connection.start_sftp_client() as sftp:
        for line in sys.stdin:
            verb, *names = line.split()
            await {"put": sftp.put, "get": sftp.get, "rename": sftp.rename}[verb](*names)
    return 0


async def program(connection):
    process = await connection.create_process(
        " ".join(rest) if rest else None,
        term_type="xterm" if what == "terminal" else None,
        encoding=None,
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
        stderr=sys.stderr.buffer,
    )
    await process.wait_closed()
    status = process.returncode
    return status if status is not None and status >= 0 else 255


async def main():
    connection = await connected()
    if what == "scp":
        await asyncssh.scp(rest[0], (connection, rest[1]))
        return 0
    return await {"tunnel": tunnel, "sftp": files}.get(what, program)(connection)


sys.exit(asyncio.run(main()))
