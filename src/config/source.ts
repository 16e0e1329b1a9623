// The YAML text with its places: turns a path into the tree ("targets", 0, "name") into line and column of the file.
import { LineCounter, isMap, isNode, isScalar, parseDocument } from "yaml"
import type { Document, Node, Pair } from "yaml"

export type Path = readonly (string | number)[]

export interface Place {
  readonly line: number
  readonly column: number
}

export interface Source {
  /** The file as plain values; undefined when it is not YAML. */
  readonly value: unknown
  readonly errors: readonly (Place & { readonly message: string })[]
  /** Where the value at `path` begins; for one that is missing, where the thing begins that should hold it. */
  placeOf(path: Path): Place
  /** Where the key at the end of `path` begins. */
  placeOfKey(path: Path): Place
}

const aliases_max = 100 // a small file must not become a huge tree

export function readYaml(text: string): Source {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const errors = document.errors.map((error) => ({ ...place(error.pos[0]), message: `not YAML: ${error.message}` }))
  let value: unknown
  if (errors.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: aliases_max })
    } catch (failure) {
      errors.push({ line: 1, column: 1, message: `not YAML that can be read: ${(failure as Error).message}` })
    }
  }
  return {
    value,
    errors,
    placeOf: (path) => place(offsetOf(document, path)),
    placeOfKey(path) {
      const key = pairAt(document, path)?.key
      return place(isNode(key) && key.range ? key.range[0] : offsetOf(document, path))
    },
  }
}

function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
    const key = pairAt(document, path.slice(0, length))?.key
    if (isNode(key) && key.range) return key.range[0]
  }
  return document.contents?.range?.[0] ?? 0
}

function pairAt(document: Document, path: Path): Pair | undefined {
  const parent: unknown = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents
  if (!isMap<Node>(parent)) return undefined
  return parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)))
}
