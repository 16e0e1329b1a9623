// nginx twice: as the fast small application that everybody proxies to, and as the proxy people know, with TLS and kept-alive
// connections upstream. A worker for each processor, as Debian ships it and as Sluice does by itself.
import { type Comparator, startComparator } from "./comparator.ts"

function configuration(folder: string, http: readonly string[]): string {
  return [
    "daemon off;",
    "worker_processes auto;",
    `pid ${folder}/nginx.pid;`,
    "error_log stderr error;",
    "events { worker_connections 2048; }",
    "http {",
    "  access_log off;",
    ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`),
    "  keepalive_requests 10000000;",
    ...http.map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n")
}

/** Answers every request with 200 and a small text. */
export function startUpstream(): Promise<Comparator> {
  return startNginx(({ port }) => [
    `server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 "hello from upstream\\n"; } }`,
  ])
}

/** With the access log written, as it comes: the nearest to a record that it keeps. */
export function startNginxProxy(targetPort: number, tls: { cert: string; key: string }): Promise<Comparator> {
  return startNginx(
    ({ port, folder }) => [
      `upstream target { server 127.0.0.1:${targetPort}; keepalive 64; keepalive_requests 10000000; }`,
      "server {",
      `  listen 127.0.0.1:${port} ssl;`,
      `  ssl_certificate ${folder}/server.crt;`,
      `  ssl_certificate_key ${folder}/server.key;`,
      `  access_log ${folder}/access.log;`,
      '  location / { proxy_pass http://target; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }',
      "}",
    ],
    { "server.crt": tls.cert, "server.key": tls.key },
  )
}

function startNginx(
  http: (at: { port: number; folder: string }) => readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<Comparator> {
  return startComparator({
    program: "nginx",
    files: (at) => ({ ...files, "nginx.conf": configuration(at.folder, http(at)) }),
    args: ({ folder }) => ["-p", folder, "-c", `${folder}/nginx.conf`, "-e", "stderr"],
  })
}
