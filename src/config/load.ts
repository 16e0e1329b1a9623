// From the path of a `sluice.yaml` to a Config, or to every problem in it with its place. Read this first: each section has its
// own file. A config that does not check does not start, so nothing here guesses.
import { dirname, resolve } from "node:path"
import { limits } from "../core/limits.ts"
import type { Config, RecordingsConfig, User, Workload } from "./config.ts"
import { readCertificates } from "./certificates.ts"
import { ConfigSource, digestOf, type SourceMessage } from "./config_source.ts"
import { checkListeners, readApprovals, readGateway } from "./listeners.ts"
import { readChannels } from "./notifications.ts"
import { readOidc } from "./oidc.ts"
import { readUsers } from "./people.ts"
import { Reading } from "./reading.ts"
import type { Problem } from "./reading.ts"
import { readBounded } from "./references.ts"
import { readPolicy } from "./rules.ts"
import { part } from "./schema.ts"
import { readYaml } from "./source.ts"
import { readWorkloads } from "./workloads.ts"
import { readSize } from "./size.ts"
import { readSshCas } from "./ssh_cas.ts"
import { readTargets } from "./targets.ts"

export type { Problem } from "./reading.ts"

export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly source: ConfigSource }
  /** `digest`: of the file, as in `ConfigSource`; undefined when it could not be read. */
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly digest: string | undefined }

/** Never throws for what the file says: that is `problems`, in file order. Relative paths in it are beside it. */
export async function loadConfig(path: string): Promise<Loaded> {
  let text: string
  try {
    text = await readBounded(resolve(path), limits.config_bytes_max)
  } catch (failure) {
    return { ok: false, problems: [{ file: path, line: 1, column: 1, message: (failure as Error).message }], digest: undefined }
  }
  return loadText({ path, text, values: {} })
}

/** The config that another process has made of `message`: no file is read, no command is run again. */
export const loadSource = (message: SourceMessage): Promise<Loaded> => loadText(message)

async function loadText({ path, text, values }: SourceMessage): Promise<Loaded> {
  const source = readYaml(text)
  const folder = dirname(resolve(path))
  const reading = await Reading.of(path, source, { folder, values })
  const refused = (): Loaded => ({ ok: false, problems: reading.problems, digest: digestOf(text) })
  if (source.errors.length > 0) return refused()
  const config = readConfig(reading, folder)
  if (config === undefined || reading.problems.length > 0) return refused()
  return { ok: true, config, source: new ConfigSource(path, text, { values: reading.values, source }) }
}

function readConfig(reading: Reading, folder: string): Config | undefined {
  const top = reading.section(part.top, [])
  const state = resolve(folder, top?.state ?? "data")
  const gateway = readGateway(reading)
  const approvals = readApprovals(reading, { folder, state, gateway })
  checkListeners(reading, gateway, approvals)
  const users = readUsers(reading)
  const workloads = readWorkloads(reading, users)
  const ssh_cas = readSshCas(reading, users)
  const oidc = readOidc(reading)
  const certificates = readCertificates(reading)
  const { targets, names } = readTargets(reading)
  const policy = readPolicy(reading, { users: [...users, ...workloads.map(asUser)], company: oidc !== undefined, targets, names })
  const recordings = readRecordings(reading, folder, state)
  const notify = readChannels(reading)
  if (!gateway || !approvals || !recordings) return undefined
  const identity = { users, oidc, workloads, ssh_cas, ...certificates }
  return { state, gateway, approvals, identity, targets, policy, recordings, notify }
}

/** For the rules a workload is one more who may be named. */
const asUser = ({ name, groups }: Workload): User => ({ name, groups, ssh_keys: [] })

function readRecordings(reading: Reading, folder: string, state: string): RecordingsConfig | undefined {
  const file = reading.section(part.recordings, ["recordings"])
  if (!file) return undefined
  let dir = resolve(state, "recordings")
  if (file.store !== undefined) {
    if (/^dir:./.test(file.store)) dir = resolve(folder, file.store.slice("dir:".length))
    else {
      const s3 = file.store.startsWith("s3:")
      reading.problem(["recordings", "store"], s3 ? "an s3:// store is not supported yet; write dir:path" : "expected dir:path")
    }
  }
  const stream_bytes_max = readSize(reading, ["recordings", "stream_bytes_max"], file.stream_bytes_max)
  return { dir, on_failure: file.on_failure, stream_bytes_max }
}
