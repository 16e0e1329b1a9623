// Lets `npx sluice` find the command in a clone. A "bin" in package.json would do it too, but for the package's own npx first
// installs the clone into a cache of its own, with whatever Node the machine has, and says so at length each time.
import { existsSync, rmSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const link = join(root, "node_modules/.bin/sluice")

if (existsSync(dirname(link))) {
  rmSync(link, { force: true })
  symlinkSync("../../bin/sluice.mjs", link)
}
