"""What the Python clients of the matrix share: the command line, and one JSON object per line of output.

Usage of every client:  client VERB BOOTSTRAP '{"topic": …}'     (verbs: see README.md beside this file)
"""

import json
import sys
import threading


def say(**fields):
    print(json.dumps(fields), flush=True)


def record(number):
    """Key and value of record `number`: the same in every client, so that one can read what another wrote."""
    return f"k{number}".encode(), (f"v{number}-" + "x" * 100).encode()


def stop_when_stdin_ends():
    """An event that is set once the harness closes our standard input."""
    stop = threading.Event()

    def watch():
        sys.stdin.read()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    return stop


def main(verbs):
    verb, bootstrap, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    verbs[verb](bootstrap, arguments)
