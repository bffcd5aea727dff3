"""That a program in the image's root file system finds servers by their names.

    python3 .ci/names.py --root ROOT -- COMMAND...

COMMAND runs what follows it within ROOT. The operator's command is sent to a name that stands in the file of names, and to one
that only a server of names knows, both laid there for the moment. Each leads to an address of its own, and somebody has to come
there. Ends with 3, and says so, where this machine does not let anybody be its server of names.
"""

import argparse
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

# Addresses of this machine alone, apart from those that others use.
SERVER, IN_FILE, ASKED_FOR = "127.53.0.1", "127.53.0.2", "127.53.0.3"
FOUND_AT = {"in-the-file.eldercare.test": IN_FILE, "asked-for.eldercare.test": ASKED_FOR}
SECONDS = 30
# More bytes than a program takes to look for a server.
CHANCE = 1 << 20
A, INTERNET, POINTER_TO_QUESTION = 1, 1, 0xC00C


def answered(question):
    """The one address for whoever asks for an IPv4 address of any name, and nothing to other questions."""
    end = question.index(b"\0", 12) + 5
    kind, = struct.unpack(">H", question[end - 4:end - 2])
    answer = b""
    if kind == A:
        answer = struct.pack(">HHHIH", POINTER_TO_QUESTION, A, INTERNET, 0, 4) + socket.inet_aton(ASKED_FOR)
    head = question[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, 1 if answer else 0, 0, 0)
    return head + question[12:end] + answer


def serve(names):
    while True:
        question, asker = names.recvfrom(512)
        names.sendto(answered(question), asker)


def comes(command, address, name):
    """Whether a program that knows only the name comes to the address."""
    with socket.create_server((address, 0)) as listener:
        listener.settimeout(SECONDS)
        port = listener.getsockname()[1]
        asked = [*command, "/usr/local/bin/eldercare", "streams", "check", "--nats", f"nats://{name}:{port}"]
        with subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            try:
                listener.accept()[0].close()
            except TimeoutError:
                return False
            finally:
                running.kill()
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path)
    end = sys.argv.index("--")
    root, command = parser.parse_args(sys.argv[1:end]).root, sys.argv[end + 1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        try:
            names.bind((SERVER, 53))
        except OSError as error:
            print(f"no server of names: {error}", file=sys.stderr)
            return 3
        threading.Thread(target=serve, args=(names,), daemon=True).start()
        laid = {
            root / "etc/hosts": f"{IN_FILE} in-the-file.eldercare.test\n".encode(),
            root / "etc/resolv.conf": f"nameserver {SERVER}\n".encode(),
            # A static program asks these for chance. Whoever runs an image gives it the devices, which take rights to make.
            root / "dev/random": os.urandom(CHANCE),
            root / "dev/urandom": os.urandom(CHANCE),
        }
        devices = root / "dev"
        had_devices = devices.exists()
        devices.mkdir(exist_ok=True)
        for file, content in laid.items():
            if file.exists():
                sys.exit(f"{file} is in the image")
            file.write_bytes(content)
        lost = [name for name, address in FOUND_AT.items() if not comes(command, address, name)]
        for file in laid:
            file.unlink()
        if not had_devices:
            devices.rmdir()
    for name in lost:
        print(f"nobody came to {name}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
