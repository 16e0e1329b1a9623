#!/usr/bin/env node
// Starts the `sluice` command with a Node that can run it: this one when it is new enough, else the one that `npm ci` brought (the
// `node` package). From a clone it runs the sources, installed it runs what was built. Plain JavaScript for old versions of Node.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"

const needed = 24
const source = new URL("../src/main.ts", import.meta.url)
const built = new URL("../dist/src/main.js", import.meta.url)
const main = existsSync(source) ? source : built

if (Number(process.versions.node.split(".")[0]) >= needed) await import(main.href)
else {
  const node = ownNode()
  if (!node) {
    console.error(`sluice needs Node ${needed} or newer; this is ${process.versions.node}. In a clone, \`npm ci\` brings it.`)
    process.exit(1)
  }
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit" })
  // The terminal tells both of a Ctrl-C; other signals come here alone.
  process.on("SIGINT", () => {})
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (failure) => {
    console.error(`sluice: ${node} cannot be run: ${failure.message}`)
    process.exit(1)
  })
  child.on("exit", (status, signal) => process.exit(status ?? 128 + (constants.signals[signal] ?? 0)))
}

function ownNode() {
  try {
    return fileURLToPath(new URL("bin/node", new URL(`file://${createRequire(import.meta.url).resolve("node/package.json")}`)))
  } catch {
    return undefined
  }
}
