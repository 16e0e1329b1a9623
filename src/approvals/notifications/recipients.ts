// Who is told of an event. A webhook and Slack have one receiver; mail goes to addresses, to those who may decide, or to the one who
// asked, as the channel says and as far as their addresses are known.
import type { Channel, Config, EmailChannel } from "../../config/config.ts"
import { isMailbox } from "../../config/notifications.ts"
import { limits } from "../../core/limits.ts"
import { isOneOf } from "../policy.ts"
import { isToDecide, type Notice } from "./notice.ts"

export function hears({ on }: Channel, kind: string): boolean {
  const family = `${kind.slice(0, kind.indexOf("."))}.*`
  // A channel that fails would be told that it failed, and fail.
  return kind !== "notification.failed" && on.some((wanted) => wanted === kind || wanted === family)
}

/** Each once; the empty one is the channel itself. */
export function recipientsOf(channel: Channel, notice: Notice, config: Config): readonly string[] {
  if (channel.way !== "email") return [""]
  const addresses = channel.to.flatMap((to) => {
    if (to === "approvers") return addressesOf(channel, config, deciders(notice, config))
    if (to === "requester") return addressesOf(channel, config, asker(notice))
    return [to]
  })
  return [...new Set(addresses)].slice(0, limits.notification_recipients_max)
}

function deciders(notice: Notice, { identity }: Config): readonly string[] {
  const { event, request } = notice
  if (!request || !isToDecide(notice)) return []
  const may = identity.users.filter((user) => user.name !== request.subject && isOneOf(user, request.approve_by))
  return may.map(({ name }) => name).filter((name) => name !== event.by)
}

/** Nobody is told of what they did themselves. */
function asker(notice: Notice): readonly string[] {
  const subject = notice.request?.subject ?? notice.grant?.subject ?? notice.session?.subject
  return subject === undefined || isToDecide(notice) || notice.event.by === subject ? [] : [subject]
}

/** Of a user whose name is an address, the operator wrote it down as theirs. */
function addressesOf({ addresses }: EmailChannel, { identity }: Config, subjects: readonly string[]): readonly string[] {
  return subjects.flatMap((subject) => {
    const known = addresses.get(subject)
    if (known !== undefined) return [known]
    return isMailbox(subject) && identity.users.some(({ name }) => name === subject) ? [subject] : []
  })
}
