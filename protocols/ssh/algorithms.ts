// Which algorithms are spoken, on both sides: nothing with SHA-1, CBC, 3DES, DSA or group 1, and MACs over what is encrypted alone.
// Strict key exchange (against prefix truncation, CVE-2023-48795) is always offered by ssh2, and mlkem768x25519-sha256 is added
// before what is listed here (hybrid_exchange.ts). The client's order decides in SSH (RFC 4253, section 7.1).
import type { Algorithms } from "ssh2"
import { nativeCrypto } from "../../src/observe/native_crypto.ts"

/**
 * AES-GCM is the fastest with and without native crypto, so it is what we ask a target for. ssh2's ChaCha20-Poly1305 in plain
 * JavaScript keeps its nonce in a variable shared by all connections and writes in between: a connection inside a connection
 * garbles it. It is spoken only where the native one is there.
 */
const chacha = nativeCrypto() ? (["chacha20-poly1305@openssh.com"] as const) : []
const fast = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] as const
const cipher = [...fast, ...chacha, "aes256-ctr", "aes128-ctr"] as const
const hmac = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"] as const
/** Group 16 is for clients that may only speak what FIPS 140 has: the curves of NIST are not offered to anybody who comes. */
const kex = ["curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group16-sha512"] as const
/** Servers of an older kind, and those of FIPS 140, have nothing better. */
const kexUpstreamOnly = [
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group18-sha512",
  "diffie-hellman-group14-sha256",
] as const

export const downstreamAlgorithms: Algorithms = {
  cipher: [...cipher],
  hmac: [...hmac],
  kex: [...kex],
  compress: ["none"], // compression before encryption leaks lengths, and costs more than it gives
}

/**
 * For a client by the software it names. OpenSSH has had AES-GCM since 6.2 and would still choose something slower, for itself
 * as for us; what its user configured without it is told so by its own words. Others get to choose.
 */
export function ciphersFor(software: string): readonly string[] {
  const [, major, minor] = /^OpenSSH_(\d+)\.(\d+)/.exec(software) ?? []
  return major !== undefined && Number(major) * 100 + Number(minor) >= 602 ? fast : cipher
}

/** To a target; which host keys it is asked for is `host_trust.ts`'s. */
export const upstreamAlgorithms: Algorithms = { ...downstreamAlgorithms, kex: [...kex, ...kexUpstreamOnly] }
