// The list of protocols. Adding one is a folder, a line here, and a driver in the conformance suite.
import type { AnyProtocol } from "../src/gateway/contract.ts"
import { http } from "./http/index.ts"
import { postgres } from "./postgres/index.ts"
import { ssh } from "./ssh/index.ts"
import { tcp } from "./tcp/index.ts"

export const protocols: readonly AnyProtocol[] = [ssh, postgres, http, tcp]
