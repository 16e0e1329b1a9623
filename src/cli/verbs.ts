// The verbs that are the same on somebody's own machine and over `ssh gateway <verb>`.
import { addApprove } from "./approve.ts"
import { addAudit } from "./audit.ts"
import type { AddVerb } from "./context.ts"
import { addDeny } from "./deny.ts"
import { addDrop } from "./drop.ts"
import { addExtend } from "./extend.ts"
import { addGateways } from "./gateways.ts"
import { addGrants } from "./grants.ts"
import { addKill } from "./kill.ts"
import { addPeople } from "./people.ts"
import { addRequest } from "./request.ts"
import { addRequests } from "./requests.ts"
import { addReview } from "./review.ts"
import { addRevoke } from "./revoke.ts"
import { addSessions } from "./sessions.ts"
import { addTargets } from "./targets.ts"
import { addWhoami } from "./whoami.ts"
import { addWithdraw } from "./withdraw.ts"

export const sharedVerbs: readonly AddVerb[] = [
  addTargets,
  addRequest,
  addRequests,
  addApprove,
  addDeny,
  addReview,
  addWithdraw,
  addGrants,
  addExtend,
  addRevoke,
  addDrop,
  addSessions,
  addKill,
  addPeople,
  addGateways,
  addAudit,
  addWhoami,
]
