"""A bare nginx hop: the floor, for a program that only moves bytes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench.gateway.contenders import Contender, Made, Place, write
from bench.gateway.install import InstallError, once, run
from bench.gateway.processes import Program, free_ports
from e2e.cluster.requirements import apt

CONFIGURATION = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream engine {{ server {upstream}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def make(place: Place) -> Made:
    """Debian's package, unpacked and not installed: no service is started."""
    program = once("nginx", "Debian's nginx", _unpack) / "usr" / "sbin" / "nginx"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr
    version = re.search(r"nginx/(\S+)", said)
    if version is None:
        raise InstallError(f"nginx does not run: {said.strip()[:200]}")
    (port,) = free_ports(1)
    upstream = place.upstream.removeprefix("http://")
    write(place, "nginx.conf", CONFIGURATION.format(upstream=upstream, port=port))
    command = [str(program), "-p", str(place.directory), "-c", "nginx.conf", "-e", "stderr"]
    url = f"http://127.0.0.1:{port}/v1"
    programs = (Program("nginx", command),)
    return Made(
        (Contender("nginx", "nginx, no gateway", url, programs=programs, ready=f"{url}/models"),), {"nginx": version[1]}
    )


def _unpack(target: Path) -> None:
    if apt(["download", "nginx"], target).returncode:
        apt(["update"])
        if apt(["download", "nginx"], target).returncode:
            raise InstallError("apt-get cannot download nginx")
    run(["dpkg", "--extract", str(next(target.glob("*.deb"))), str(target)], target)
