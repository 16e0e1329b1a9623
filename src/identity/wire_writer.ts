// Writes SSH's data types (RFC 4251, section 5): the other half of `wire_reader.ts`.

type Field = string | Buffer | { readonly uint32: number } | { readonly uint64: bigint }

/** Fields one after the other; a text or a buffer as a `string`, its length in four bytes before it. */
export const packWire = (...fields: readonly Field[]): Buffer => Buffer.concat(fields.map(packField))

function packField(field: Field): Buffer {
  if (typeof field === "string" || Buffer.isBuffer(field)) {
    const bytes = Buffer.from(field as Buffer)
    return Buffer.concat([packField({ uint32: bytes.length }), bytes])
  }
  const bytes = Buffer.alloc("uint32" in field ? 4 : 8)
  if ("uint32" in field) bytes.writeUInt32BE(field.uint32)
  else bytes.writeBigUInt64BE(field.uint64)
  return bytes
}
