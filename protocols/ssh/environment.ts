// Which environment variables a client may set on a target: those that the target's config names, which unless told are those that
// say how text and colours look. Everything else is left behind.

/** They change which code a program loads, so no config lets them pass. */
const never = /^(LD_|DYLD_|GLIBC_TUNABLES$)/
const name_form = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
const value_bytes_max = 1024

/** Whether `name` may be set to `value`. `allowed`: names, or how they begin with a `*` behind. Control characters are not text. */
export const mayPass = (name: string, value: string, allowed: readonly string[]): boolean =>
  name_form.test(name) &&
  !never.test(name) &&
  allowed.some((each) => (each.endsWith("*") ? name.length >= each.length && name.startsWith(each.slice(0, -1)) : name === each)) &&
  Buffer.byteLength(value) <= value_bytes_max &&
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  !/[\x00-\x1f\x7f]/.test(value)

/** A name as it may stand in a recording: bounded, and nothing but what names are made of. */
export const recordable = (name: string, strange = /[^\w.-]/g): string => name.slice(0, 64).replaceAll(strange, "?")
