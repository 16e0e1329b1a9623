// Which environment variables a client may set on a target: those that say how text and colours look. Everything else is left
// behind, first of all what changes which code a program loads (LD_*, DYLD_*, GLIBC_TUNABLES).

const allowed = /^(LANG|LANGUAGE|LC_[A-Z]{1,32}|TERM|COLORTERM|NO_COLOR|CLICOLOR|TZ)$/
const value_bytes_max = 1024

/** Whether `name` may be set to `value`. Control characters in it are not text. */
export const mayPass = (name: string, value: string): boolean =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  allowed.test(name) && Buffer.byteLength(value) <= value_bytes_max && !/[\x00-\x1f\x7f]/.test(value)

/** A name as it may stand in a recording: bounded, and nothing but what names are made of. */
export const recordable = (name: string, strange = /[^\w.-]/g): string => name.slice(0, 64).replaceAll(strange, "?")
