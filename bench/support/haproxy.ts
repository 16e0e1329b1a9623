// haproxy in TCP mode: the least that a proxy can do.
import { type Comparator, startComparator } from "./comparator.ts"

export function startHaproxy(targetPort: number): Promise<Comparator> {
  return startComparator({
    program: "haproxy",
    files: ({ port }) => ({
      "haproxy.cfg": [
        "global",
        "  maxconn 500",
        "  nbthread 1",
        "defaults",
        "  mode tcp",
        "  timeout connect 5s",
        "  timeout client 1h",
        "  timeout server 1h",
        "listen target",
        `  bind 127.0.0.1:${port}`,
        `  server target 127.0.0.1:${targetPort}`,
        "",
      ].join("\n"),
    }),
    args: ({ folder }) => ["-db", "-q", "-f", `${folder}/haproxy.cfg`],
  })
}
