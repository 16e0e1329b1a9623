// The published schema says what the service does.
import assert from "node:assert/strict"
import test from "node:test"
import { type Route, routes } from "../../../src/api/routes.ts"
import { startService } from "./service.ts"

interface Operation {
  readonly operationId: string
  readonly security: readonly Record<string, unknown>[]
  readonly parameters: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: object
}
interface Document {
  readonly openapi: string
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, object> }
}

test("openapi: each route is in it, with its credential, its body and the parameters of its path", async (t) => {
  const service = await startService(t)
  const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as Document
  assert.equal(document.openapi, "3.1.0")
  for (const [name, route] of Object.entries<Route>(routes)) {
    const operation = document.paths[route.path.replace(":id", "{id}")]?.[route.method.toLowerCase()]
    assert(operation, route.path)
    assert.equal(operation.operationId, name)
    assert.deepEqual(operation.security, route.who === "anybody" ? [] : [{ [route.who]: [] }])
    assert.equal(operation.requestBody !== undefined, route.method === "POST", name)
    assert.equal(
      operation.parameters.some((parameter) => parameter.in === "path" && parameter.name === "id"),
      route.path.includes(":id"),
    )
  }
  assert.equal(Object.values(document.paths).flatMap((path) => Object.keys(path)).length, Object.keys(routes).length)
})

test("openapi: every reference leads to a schema of the document", async (t) => {
  const service = await startService(t)
  const text = await (await fetch(`${service.url}/openapi.json`)).text()
  const { components } = JSON.parse(text) as Document
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference ?? "")
  assert(references.length > 10)
  for (const reference of references) {
    const [, name] = /^#\/components\/schemas\/(\w+)$/.exec(reference) ?? []
    assert(name !== undefined && components.schemas[name], reference)
  }
  assert(!text.includes("$defs"))
})
