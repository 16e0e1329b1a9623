// What a notification is called.
import assert from "node:assert/strict"
import test from "node:test"
import { titleOf, type Notice } from "../../../../src/approvals/notifications/notice.ts"

test("notifications: news of a gateway names it", () => {
  const titles = ["gateway.joined", "gateway.left", "gateway.lost", "gateway.returned", "gateway.refused"].map((kind) =>
    titleOf({ event: { kind, by: "gw.example.com/1" }, request: undefined, grant: undefined, session: undefined } as unknown as Notice),
  )
  assert.deepEqual(titles, [
    "gateway gw.example.com/1 has begun",
    "gateway gw.example.com/1 was stopped",
    "gateway gw.example.com/1 is not heard any more",
    "gateway gw.example.com/1 is heard again",
    "gateway gw.example.com/1 spoke under a name that is not its own",
  ])
})
