import assert from "node:assert/strict"
import { test } from "node:test"
import { networkOf } from "../../../src/core/network.ts"

test("an IPv4 address counts by itself, an IPv6 address with all of its network", () => {
  for (const [host, network] of [
    ["203.0.113.7", "203.0.113.7"],
    ["::1", "0:0:0:0"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:db8:0:0:ffff::2", "2001:db8:0:0"],
    ["2001:0db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["1:2::", "1:2:0:0"],
    ["unknown", "unknown"],
  ] as const) {
    assert.equal(networkOf(host), network)
  }
})
