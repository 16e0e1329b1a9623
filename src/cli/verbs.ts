// The verbs that are the same on somebody's own machine and over `ssh gateway <verb>`.
import { addApprove } from "./verbs/approve.ts"
import { addAudit } from "./verbs/audit.ts"
import type { AddVerb } from "./context.ts"
import { addDeny } from "./verbs/deny.ts"
import { addDrop } from "./verbs/drop.ts"
import { addExtend } from "./verbs/extend.ts"
import { addGateways } from "./verbs/gateways.ts"
import { addGrants } from "./verbs/grants.ts"
import { addKill } from "./verbs/kill.ts"
import { addPeople } from "./verbs/people.ts"
import { addRequest } from "./verbs/request.ts"
import { addRequests } from "./verbs/requests.ts"
import { addReview } from "./verbs/review.ts"
import { addRevoke } from "./verbs/revoke.ts"
import { addSessions } from "./verbs/sessions.ts"
import { addTargets } from "./verbs/targets.ts"
import { addWhoami } from "./verbs/whoami.ts"
import { addWithdraw } from "./verbs/withdraw.ts"

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
