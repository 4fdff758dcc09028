"""The hub's cache, shared by Python's huggingface_hub and heddle: what one has fetched, the other finds without a network.

python3 conformance/models/hub.py FOLDER
with huggingface_hub in PYTHONPATH, FOLDER a model's, and heddle built; the hub is a server on this machine.
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
folder = os.path.abspath(sys.argv[1])


class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        name = self.path.split("/", 5)[5]
        path = f"{folder}/{name}"
        self.found = os.path.exists(path)
        self.send_response(200 if self.found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        if self.found:
            with open(path, "rb") as file:
                self.content = file.read()
            git = hashlib.sha1(f"blob {len(self.content)}\0".encode() + self.content).hexdigest()
            etag = hashlib.sha256(self.content).hexdigest() if name.endswith(".safetensors") else git
            self.send_header("ETag", f'"{etag}"')
            self.send_header("Content-Length", str(len(self.content)))
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        if self.found:
            self.wfile.write(self.content)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_address[1]}"

from huggingface_hub import hf_hub_download, snapshot_download  # noqa: E402  (it reads HF_ENDPOINT when imported)

PROGRAM = """
import { download, fromPretrained } from './dist/lib/models/index.js'
const options = JSON.parse(process.argv[1])
await fromPretrained('owner/name', options)
console.log(await download('owner/name', options))
"""


def heddle(**options):
    command = ["node", "--input-type=module", "-e", PROGRAM, json.dumps(options)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def tree(cache):
    """Links and sizes of what a cache has, without the records of what does not exist and locks."""
    found = {}
    for root, _, names in os.walk(cache):
        for name in names:
            path = os.path.join(root, name)
            if ".no_exist" not in path and ".locks" not in path:
                found[os.path.relpath(path, cache)] = os.readlink(path) if os.path.islink(path) else os.path.getsize(path)
    return found


with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
    for name in os.listdir(folder):
        hf_hub_download("owner/name", name, cache_dir=first)
    assert heddle(cache=first, offline=True) == os.path.join(first, f"models--owner--name/snapshots/{COMMIT}")
    fetched = heddle(cache=second)
    assert snapshot_download("owner/name", cache_dir=second, local_files_only=True) == fetched
    for name in os.listdir(folder):
        assert hf_hub_download("owner/name", name, cache_dir=second, local_files_only=True).startswith(fetched)
    assert tree(first) == tree(second), (tree(first), tree(second))
    print(f"{len(tree(first))} entries, the same from both; each is found by the other without a network")
