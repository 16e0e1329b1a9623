// The shape of the section `notify` as it is written. What the values mean is checked in `notifications.ts`.
import { z } from "zod"

const text = z.string().min(1)
const reference = text.describe("env:NAME, file:path or exec:command; a secret cannot be written here itself")
const several = z.union([text, z.array(text).min(1)])

export const channel = z.strictObject({
  name: text.describe("Lower case letters, digits and -: how the log and the audit log name it"),
  on: several.optional().describe("Kinds of events, such as request.asked, or request.* for all of that family"),
  webhook: z
    .strictObject({
      url: text.describe("https://; http:// to this machine alone"),
      secret: reference.describe("Signs each body, so that the receiver knows it is ours"),
    })
    .optional()
    .describe("Each event as JSON, signed, to a program of yours"),
  slack: z
    .strictObject({
      webhook: reference.describe("The incoming webhook's URL: whoever has it can post, so it is a secret"),
      signing_secret: reference.optional().describe("The app's signing secret; with it messages have buttons. Left out: links alone"),
      people: z.record(z.string(), text).default({}).describe("Whose button it is: Slack user ids (U…) and the names of people here"),
    })
    .optional()
    .describe("A message in a Slack channel"),
  email: z
    .strictObject({
      smtp: text.describe("smtp://host:587 (STARTTLS) or smtps://host:465; with a user and password in it, as a reference"),
      ca: text.optional().describe("PEM of the CA of the mail server; the system's unless told"),
      from: text.describe("The address it is sent from"),
      to: several
        .default(["approvers", "requester"])
        .describe("approvers: those who may decide; requester: whose request it is; or addresses"),
      addresses: z
        .record(z.string(), text)
        .default({})
        .describe("Names of people and where they read mail; one whose name is an address reads it there"),
    })
    .optional()
    .describe("Mail to those whom an event is for"),
})

export type ChannelFile = z.output<typeof channel>
