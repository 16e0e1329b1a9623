// Builds ssh2's native crypto binding for the Node that runs Sluice: the pinned `node` package, not the machine's own.
// It carries its headers, so nothing is downloaded. Without a compiler the build fails, ssh2 works in plain JavaScript
// (about half the throughput), and `sluice start` says so.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const headers = [
  `node_modules/node/node_modules/node-${process.platform}-${process.arch}`,
  `node_modules/node-${process.platform}-${process.arch}`,
]
  .map((path) => join(root, path))
  .find((path) => existsSync(join(path, "include/node/node.h")))

const built = spawnSync("npm", ["rebuild", "ssh2", "--foreground-scripts"], {
  cwd: root,
  env: { ...process.env, ...(headers ? { npm_config_nodedir: headers } : {}) },
  encoding: "utf8",
})
const loaded = spawnSync(process.execPath, ["-e", "require('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node')"], { cwd: root })
if (loaded.status === 0) console.log(`ssh2 native crypto: built for Node ${process.versions.node}`)
else
  console.log(
    `ssh2 native crypto: not built, SSH will be slower (needs python3, make and a C++ compiler)\n${built.stderr.split("\n").slice(-15).join("\n")}`,
  )
