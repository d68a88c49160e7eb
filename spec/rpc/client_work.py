"""What a client of calls has to stand: many at once, large ones, late ones, and a server that is away for a while."""
import sys
import threading

sys.path.insert(0, "examples")
from rpc_client import Client, RpcError  # noqa: E402  pylint: disable=wrong-import-position

client = Client("127.0.0.1", int(sys.argv[1]))


def code_of(*arguments, **options):
    try:
        return client.call(*arguments, **options)
    except RpcError as error:
        return error.code


found = {}
threads = [threading.Thread(target=lambda i=i: found.update({i: client.call("same", i)})) for i in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(found == {i: i for i in range(40)})
large = "x" * 1000000
print(client.call("same", large) == large, code_of("same", "x" * 1048577), code_of("repeat", 2000000))
print(code_of("wait", 10, timeout=0.1), client.call("same", "next"))
print(code_of("quit"), client.call("same", "again"))
