"""The servers of a run: one nginx origin, the peers, and Streamgate, all on loopback."""

import base64
import functools
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse

import measure

START_LIMIT = 60.0  # seconds in which a server must answer, also under callgrind on a busy machine
STOP_LIMIT = 10.0

NGINX = """\
daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log warn; {user}
worker_processes {workers}; worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
  access_log {access_log}; sendfile on; keepalive_requests 1000000; keepalive_timeout 60s;
  ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_http_version 1.1; proxy_set_header Connection "";
{body}
}}
"""

ORIGIN = """\
  server {{ listen 127.0.0.1:{port} backlog=4096; root {site}/root;
    location ~ ^/segment_ {{ rewrite ^ /2m.ts break; access_log {site}/segments.log; }}
    location = /live.m3u8 {{ access_log {site}/playlists.log; }} }}
  server {{ listen 127.0.0.1:{origin_tls} ssl backlog=4096; root {site}/root;
           ssl_certificate {site}/cert.pem; ssl_certificate_key {site}/key.pem; }}
"""

FIXED = """\
  upstream plain {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000; }}
  upstream secure {{ server 127.0.0.1:{origin_tls}; keepalive 64; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; @OPTIONS@
    location / {{ proxy_pass http://plain; }}
    location /tls/ {{ proxy_pass https://secure; }} }}
"""

NGINX_PEERS = {
    "nginx unbuffered": FIXED.replace("@OPTIONS@", "proxy_buffering off;"),
    "nginx 64k": FIXED.replace(
        "@OPTIONS@", "proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;"
    ),
    "nginx fixed": FIXED.replace("@OPTIONS@", ""),
    "nginx variable": """\
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass $arg_url; }} }}
""",
}

# Bodies on tmpfs, their descriptors kept open: the fastest that nginx can be as a cache.
NGINX_CACHE = """\
  proxy_cache_path {memory}/{port} levels=1:2 keys_zone=cache:64m max_size=256m use_temp_path=off;
  open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s;
  upstream plain {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    proxy_cache cache; proxy_cache_lock on; proxy_cache_valid 200 1h;
    proxy_cache_key $uri$is_args$args;
    location ~ m3u8 {{
      proxy_cache_valid 200 1s; proxy_cache_use_stale updating; proxy_pass http://plain; }}
    location / {{ proxy_pass http://plain; }} }}
"""
NGINX_PEERS["nginx cache"] = NGINX_CACHE

VARNISH = """\
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_backend_response {{
  if (bereq.url ~ "m3u8") {{ set beresp.ttl = 1s; }} else {{ set beresp.ttl = 1h; }}
}}
"""

HAPROXY = """\
global
  maxconn 6000
  nbthread {workers}
{log_target}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-response
  http-reuse always
{log_lines}
frontend player
  bind 127.0.0.1:{port} backlog 4096
  use_backend secure if {{ path_beg /tls/ }}
  default_backend plain
backend plain
  server origin 127.0.0.1:{origin}
backend secure
  server origin 127.0.0.1:{origin_tls} ssl verify none
"""

STREAMGATE = """\
listen: 127.0.0.1:{port}
workers: {workers}
watchdog_timeout: 60s
upstream: {{ tls: {{ ca_file: {ca} }} }}
security: {{ allow_private: [127.0.0.1], {security} }}
log: {{ access: {access_log}, error: {dir}/error.log }}
hls: {{ child_urls: {form} }}
cache: {{ memory: {cache} }}
"""

SECRET = "the secret of the benchmark, 32 bytes or more"
GRANTS = f'auth: token, keys: [{{ id: bench, algorithm: HS256, secret: "{SECRET}" }}]'

# Streamgate by name: the form of the links, whether clients need a token, and the cache's memory.
STREAMGATE_FORMS = {
    "streamgate": ("query", False, "0B"),
    "streamgate cache": ("query", False, "256MiB"),
    "streamgate grants": ("query", True, "0B"),
    "streamgate path": ("path", False, "0B"),
    "streamgate path grants": ("path", True, "0B"),
}


def make_token():
    """A JSON Web Token for all URLs, for an hour."""

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"exp": int(time.time()) + 3600}
    text = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return (text + b"." + encode(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server that this run has started. stop() ends it and waits for it."""

    def __init__(self, name, command, directory, port, target):
        self.name, self.command, self.directory, self.port = name, command, directory, port
        self.target = target  # (file, tls) -> the request target
        self.log = open(directory / "output.log", "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=directory
        )
        self.wait_until_answering()
        self.pids = measure.family(self.process.pid)

    def wait_until_answering(self):
        deadline = time.monotonic() + START_LIMIT
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.output()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.3)  # until all workers are forked
                return
            except OSError:
                time.sleep(0.02)

    def output(self):
        files = [self.directory / name for name in ("output.log", "error.log")]
        return "\n".join(f.read_text(errors="replace")[-4000:] for f in files if f.exists())

    def check_alive(self):
        if measure.family(self.process.pid) != self.pids:
            raise RuntimeError(f"a process of {self.name} was replaced:\n{self.output()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                for pid in measure.family(self.process.pid):
                    os.kill(pid, 9)
                self.process.wait()
        self.log.close()


class Site:
    """The files of one run: a directory for each server, the origin's documents and certificate."""

    def __init__(self, directory, options):
        self.directory = pathlib.Path(directory)
        self.options = options
        self.ports = {"origin": free_port(), "origin_tls": free_port()}
        os.chmod(directory, 0o755)  # a worker may run as another user
        self.count = 0
        self.memory = tempfile.TemporaryDirectory(prefix="streamgate-bench-", dir="/dev/shm")
        os.chmod(self.memory.name, 0o777)
        self.streamgate_prefix = []  # the command line of a tool that runs Streamgate

    def make_directory(self, name):
        self.count += 1  # each start gets a new directory
        path = self.directory / f"{name.replace(' ', '-')}-{self.count}"
        path.mkdir()
        return path

    def nginx(self, name, body, target, port, workers, logging):
        directory = self.make_directory(name)
        (directory / "nginx.conf").write_text(
            NGINX.format(
                dir=directory,
                user="user root;" if os.geteuid() == 0 else "",
                workers=workers,
                files=20000,
                connections=16000,
                access_log=f"{directory}/access.log" if logging else "off",
                body=body.format(
                    site=self.directory, memory=self.memory.name, port=port, **self.ports
                ),
            )
        )
        command = [
            "nginx",
            "-e",
            f"{directory}/error.log",
            "-p",
            str(directory),
            "-c",
            f"{directory}/nginx.conf",
        ]
        return Server(name, command, directory, port, target)

    def start_origin(self):
        return self.nginx("direct", ORIGIN, plain_target, self.ports["origin"], 2, False)

    def start_nginx(self, name):
        def variable_target(file, tls):
            return "/?url=" + self.upstream_url(file, tls)

        target = variable_target if name == "nginx variable" else plain_target
        return self.nginx(
            name,
            NGINX_PEERS[name],
            target,
            free_port(),
            self.options.workers,
            self.options.access_log == "all",
        )

    def start_haproxy(self, name):
        directory, port = self.make_directory(name), free_port()
        logging = self.options.access_log == "all"
        text = HAPROXY.format(
            port=port,
            workers=self.options.workers,
            **self.ports,
            log_target="  log stdout format raw local0" if logging else "",
            log_lines="  log global\n  option httplog" if logging else "",
        )
        (directory / "haproxy.cfg").write_text(text)
        return Server(
            name,
            ["haproxy", "-db", "-f", f"{directory}/haproxy.cfg"],
            directory,
            port,
            plain_target,
        )

    def start_varnish(self, name):
        directory, port = self.make_directory(name), free_port()
        (directory / "cache.vcl").write_text(VARNISH.format(**self.ports))
        words = ["-F", "-a", f"127.0.0.1:{port}", "-f", f"{directory}/cache.vcl", "-j", "none"]
        words += ["-n", f"{directory}/state", "-s", "malloc,256m"]
        return Server(name, ["varnishd", *words], directory, port, plain_target)

    def start_streamgate(self, name):
        form, has_grants, cache = STREAMGATE_FORMS[name]
        directory, port = self.make_directory(name), free_port()
        os.chmod(directory, 0o777)
        logging = self.options.access_log != "none"
        (directory / "streamgate.yaml").write_text(
            STREAMGATE.format(
                port=port,
                workers=self.options.workers,
                ca=self.directory / "cert.pem",
                dir=directory,
                access_log=f"{directory}/access.log" if logging else "off",
                security=GRANTS if has_grants else "",
                form=form,
                cache=cache,
            )
        )
        token = f"sg_token={make_token()}" if has_grants else ""

        def query_target(file, tls):
            url = urllib.parse.quote(self.upstream_url(file, tls), safe="@")
            return f"/stream?url={url}&{token}".rstrip("&")

        @functools.cache
        def path_target(file, tls):
            target = "/at/-/" + self.upstream_url(file, tls).replace("://", "/")
            return granted_link(port, f"{target}?{token}") if has_grants else target

        command = [
            *self.streamgate_prefix,
            str(self.options.streamgate.resolve()),
            "-c",
            f"{directory}/streamgate.yaml",
        ]
        target = path_target if form == "path" else query_target
        return Server(name, command, directory, port, target)

    def upstream_url(self, file, tls):
        if tls:
            return f"https://127.0.0.1:{self.ports['origin_tls']}/{file}"
        return f"http://127.0.0.1:{self.ports['origin']}/{file}"

    def starters(self):
        """Every proxy by name, in the order of the tables. Workloads refer to these names."""
        starters = {name: self.start_nginx for name in NGINX_PEERS}
        starters["haproxy splice"] = self.start_haproxy
        starters["varnish"] = self.start_varnish
        if self.options.streamgate:
            starters |= {name: self.start_streamgate for name in STREAMGATE_FORMS}
        return starters


def granted_link(port, target):
    """The link with a grant to which a link of the path form with a token is redirected."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
    connection.request("GET", target)
    location = connection.getresponse().getheader("Location")
    connection.close()
    if not location:
        raise RuntimeError(f"no grant for {target}")
    return urllib.parse.urlsplit(location).path


def plain_target(file, tls):
    return f"/tls/{file}" if tls else f"/{file}"


def make_certificate(directory):
    """A temporary self-signed certificate for 127.0.0.1."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=bench",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            f"{directory}/key.pem",
            "-out",
            f"{directory}/cert.pem",
        ],
        check=True,
        capture_output=True,
    )
    ssl.create_default_context(cafile=f"{directory}/cert.pem")  # fails here if it is unreadable
