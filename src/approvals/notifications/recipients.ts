// Who is told of an event. A webhook and Slack have one receiver; mail goes to addresses, to those who may decide, or to the one who
// asked, as the channel says and as far as their addresses are known.
import type { PersonView } from "../../api/schema.ts"
import type { Channel, EmailChannel } from "../../config/config.ts"
import { isMailbox } from "../../config/notifications.ts"
import { limits } from "../../core/limits.ts"
import { isOneOf } from "../policy.ts"
import { isToDecide, type Notice } from "./notice.ts"

export function hears({ on }: Channel, kind: string): boolean {
  const family = `${kind.slice(0, kind.indexOf("."))}.*`
  // A channel that fails would be told that it failed, and fail.
  return kind !== "notification.failed" && on.some((wanted) => wanted === kind || wanted === family)
}

/** Each once; the empty one is the channel itself. `people`: everybody there is. */
export function recipientsOf(channel: Channel, notice: Notice, people: readonly PersonView[]): readonly string[] {
  if (channel.way !== "email") return [""]
  const addresses = channel.to.flatMap((to) => {
    if (to === "approvers") return addressesOf(channel, deciders(notice, people))
    if (to === "requester") return addressesOf(channel, asker(notice, people))
    return [to]
  })
  return [...new Set(addresses)].slice(0, limits.notification_recipients_max)
}

function deciders(notice: Notice, people: readonly PersonView[]): readonly PersonView[] {
  const { event, request } = notice
  if (!request || !isToDecide(notice)) return []
  return people.filter(
    (person) => !person.disabled && person.name !== request.subject && person.name !== event.by && isOneOf(person, request.approve_by),
  )
}

/** Nobody is told of what they did themselves. */
function asker(notice: Notice, people: readonly PersonView[]): readonly PersonView[] {
  const subject = notice.request?.subject ?? notice.grant?.subject ?? notice.session?.subject
  return isToDecide(notice) || notice.event.by === subject ? [] : people.filter(({ name }) => name === subject)
}

/** What the config says, what the company's login has verified, or a name in the config that is an address: the operator wrote it down. */
function addressesOf({ addresses }: EmailChannel, people: readonly PersonView[]): readonly string[] {
  return people.flatMap(({ name, email, known_from }) => {
    const address = addresses.get(name) ?? email ?? (known_from === "company" ? undefined : name)
    return address !== undefined && isMailbox(address) ? [address] : []
  })
}
