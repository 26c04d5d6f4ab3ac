"""Frames per second over HTTP against nginx (sendfile) on the same bytes: wrk, 8 connections, one thread."""

import re
import subprocess
import tempfile
from pathlib import Path

from pydicom.uid import generate_uid

from tests.bench.table import Row
from tests.support import live as live_server
from tests.support.postgres import free_port
from tests.support.sender import Sender, make_ct

SECONDS = 5


def _wrk(url: str, *headers: str) -> float:
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", *[part for header in headers for part in ("-H", header)], url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in answer:
        raise RuntimeError(answer)
    found = re.search(r"Requests/sec:\s+([\d.]+)", answer)
    assert found
    return float(found[1])


def _nginx(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log /dev/null; worker_processes 1; user root;\n"
        f"events {{}} http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
    )
    return subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)


def run() -> list[Row]:
    study, series = generate_uid(), generate_uid()
    item = make_ct(study, series, 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, live_server.running(Path(name) / "data") as live:
        sender = Sender(live.dicom_port)
        assert sender.send(item)[0] == 0
        sender.release()
        with live.client() as client:
            token = client.post(
                "/api/v1/tokens", json={"name": "bench", "scopes": ["study.view", "study.search"]}
            ).json()["token"]
        folder, port = Path(name) / "nginx", free_port()
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "frame").write_bytes(item.data[-524288:])
        peer = _nginx(folder, port)
        try:
            frame = f"{live.url}/dicom-web/studies/{study}/series/{series}/instances/{item.sop_instance_uid}/frames/1"
            ours, theirs = [], []
            for _ in range(3):
                ours.append(
                    _wrk(
                        frame,
                        f"Authorization: Bearer {token}",
                        'Accept: multipart/related; type="application/octet-stream"',
                    )
                )
                theirs.append(_wrk(f"http://127.0.0.1:{port}/frame"))
        finally:
            peer.terminate()
            peer.wait()
    return [
        Row(
            "frames",
            "one 512 KB frame by WADO-RS, 8 connections",
            max(ours),
            "1/s",
            "nginx, sendfile, no sign-in",
            max(theirs),
        )
    ]
