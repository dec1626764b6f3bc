"""`python -m songreel.worker FOLDER KIND [SOCKET]` is a process that runs one job's command after another."""

import socket
import sys
from pathlib import Path

from songreel.cli import main
from songreel.jobs.serving import serve

if __name__ == "__main__":
    folder, kind, *first = sys.argv[1:]
    serve(Path(folder), kind, socket.socket(fileno=int(first[0])) if first else None, main)
