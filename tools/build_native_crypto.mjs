// Builds ssh2's native crypto binding for the Node that runs Sluice: the pinned `node` package, not the machine's own, whichever of
// them runs this. It carries its headers, so nothing is downloaded. Without a compiler the build fails, ssh2 works in plain
// JavaScript (about half the throughput), and `sluice start` says so.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const commands = join(root, "node_modules/.bin")
const pinned = join(root, "node_modules/node/bin/node")
const node = existsSync(pinned) ? pinned : process.execPath
const headers = [
  `node_modules/node/node_modules/node-${process.platform}-${process.arch}`,
  `node_modules/node-${process.platform}-${process.arch}`,
]
  .map((path) => join(root, path))
  .find((path) => existsSync(join(path, "include/node/node.h")))

const version = loads()
if (version) console.log(`ssh2 native crypto: there, for Node ${version}`)
else {
  const failure = build()
  const built = loads()
  if (built) console.log(`ssh2 native crypto: built for Node ${built}`)
  else console.log(`ssh2 native crypto: not built, SSH will be slower (needs python3, make and a C++ compiler)\n${failure}`)
}

/** The version of the pinned Node when it can load the binding, and the binding is one that does not abort (native_crypto.h). */
function loads() {
  const binding = join(root, "node_modules/ssh2/lib/protocol/crypto/build/Release/sshcrypto.node")
  if (!existsSync(binding) || readFileSync(binding).includes("RemoveEnvironmentCleanupHook")) return undefined
  const script = "require('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node'); process.stdout.write(process.versions.node)"
  const run = spawnSync(node, ["-e", script], { cwd: root, encoding: "utf8" })
  return run.status === 0 ? run.stdout : undefined
}

/** Answers the last words of a build, in case they are needed. */
function build() {
  // npm finds its Node in PATH; what another npm around this one has set is about another folder.
  const settings = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?!config_(cache|registry|userconfig|offline|python)$)/i.test(name),
  )
  const { stderr } = spawnSync("npm", ["rebuild", "ssh2", "--foreground-scripts"], {
    cwd: root,
    env: {
      ...Object.fromEntries(settings),
      PATH: [commands, process.env.PATH].join(delimiter),
      CXXFLAGS: `${process.env.CXXFLAGS ?? ""} -include ${join(root, "tools/native_crypto.h")}`.trim(),
      ...(headers ? { npm_config_nodedir: headers } : {}),
    },
    encoding: "utf8",
  })
  return stderr.split("\n").slice(-15).join("\n")
}
