// One thing done on a target, as it is recorded and decided about.
import type { Destination } from "./destination.ts"

/** A bound value of a prepared statement. */
export interface BoundValue {
  /** The parameter's type, 0 when the client left it to the server. */
  readonly oid: number
  readonly format: "text" | "binary" | "null"
  /** Text as it stands, binary in hex, null for SQL NULL; cut at `recorded_value_bytes_max`. */
  readonly value: string | null
  /** What a binary value says, for the types that are read; nothing is decided by it. */
  readonly text?: string
  /** A part of it was taken out by a pattern of the target's config: it says `[secret]` there. */
  readonly redacted?: true
  /** The full size in bytes, when `value` was cut. */
  readonly bytes?: number
}

/** A file's name as a peer wrote it; base64 where it is not UTF-8. */
export type FileName = string | { readonly base64: string }

/** What is opened for, as the client asked (draft-ietf-secsh-filexfer-02, section 6.3). */
export type OpenFlag = "read" | "write" | "append" | "create" | "truncate" | "exclusive"

/** Attributes that a client sets; times in seconds since the Unix epoch. */
export interface FileAttributes {
  readonly size?: number
  readonly uid?: number
  readonly gid?: number
  readonly mode?: number
  readonly atime?: number
  readonly mtime?: number
}

/** What SFTP does to one file. */
export type FileOperation =
  /** `set`: what it asks for of a new file beyond its usual permissions (set-user-id and the like, an owner). */
  | { readonly op: "open"; readonly path: FileName; readonly flags: readonly OpenFlag[]; readonly set?: FileAttributes }
  | { readonly op: "list"; readonly path: FileName }
  | { readonly op: "mkdir"; readonly path: FileName; readonly set?: FileAttributes }
  | { readonly op: "remove" | "rmdir"; readonly path: FileName }
  /** `to` is the new name; of a symbolic link, what it points at. */
  | { readonly op: "rename" | "symlink" | "hardlink" | "copy"; readonly path: FileName; readonly to: FileName }
  | { readonly op: "setattr"; readonly path: FileName; readonly set: FileAttributes }
  /** A request that is none of these, by its name. */
  | { readonly op: "other"; readonly name: string; readonly path?: FileName }

export type Action =
  /** `how`: the simple query message, an Execute of a portal, a function call, a COPY the server asked for. */
  | {
      readonly kind: "postgres.statement"
      readonly how: "simple" | "execute" | "function_call"
      readonly sql: string
      /** The full size in bytes, when `sql` was cut at `recorded_sql_bytes_max`. */
      readonly sql_bytes?: number
      readonly statement?: string
      readonly portal?: string
      readonly values?: readonly BoundValue[]
      /** Values after those kept: the message that carried them was larger than `recorded_values_bytes_max`. */
      readonly values_left_out?: number
      /** The name did not lead to a text for certain: `sql` is the best guess, or empty. */
      readonly unresolved?: true
      /** These are not the very bytes that run: a password was taken out, or they are not UTF-8. */
      readonly inexact?: true
      /** The server's settings may make another text of these bytes than PostgreSQL's parser does by default. */
      readonly ambiguous?: true
      /** It is inexact only because a secret was taken out. */
      readonly secret?: true
    }
  | { readonly kind: "ssh.shell"; readonly channel: number }
  /** `inexact`: its bytes are not UTF-8, and these not the very ones that run. */
  | { readonly kind: "ssh.exec"; readonly channel: number; readonly command: string; readonly inexact?: true }
  /** The file transfer subsystem; what is done in it are `ssh.file` actions of the same channel. */
  | { readonly kind: "ssh.sftp"; readonly channel: number; readonly access: "all" | "read" }
  | ({ readonly kind: "ssh.file"; readonly channel: number } & FileOperation)
  /** The target is to connect somewhere for the client (local), or to listen for it (remote). */
  | ({ readonly kind: "ssh.forward"; readonly direction: "local" | "remote" } & Destination)
  /** Programs of a channel may use the client's SSH agent. */
  | { readonly kind: "ssh.agent"; readonly channel: number }
  /** A connection to a tcp target. */
  | { readonly kind: "tcp.connect" }
  | {
      readonly kind: "http.request"
      readonly method: string
      readonly path: string
      /** Names of the query's parameters; their values may be secrets and are not kept. */
      readonly query: readonly string[]
      readonly upgrade?: "websocket"
    }
