// The published schema of the API, OpenAPI 3.1, made from the routes and from the schemas that check them.
import { z } from "zod"
import { type Route, routes } from "../api/routes.ts"
import { errorBody } from "../api/schema.ts"
import { type Wire, wire } from "./wire.ts"

type Json = Record<string, unknown>

/** The whole document. */
export function openApi(public_url: string): Json {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  for (const [name, route] of Object.entries<Route>(routes)) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}")
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name as keyof typeof wire, route, schemas) }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Sluice approval service",
      version: "1",
      description: "Times are milliseconds since the Unix epoch, durations milliseconds.",
    },
    servers: [{ url: public_url }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        person: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "A person's API token" },
        gateway: { type: "http", scheme: "bearer", description: "The gateway's key" },
      },
    },
  }
}

function operation(name: keyof typeof wire, route: Route, schemas: Json): Json {
  const { params, query, body, answer }: Wire = wire[name]
  const content = (schema: z.ZodType, io: "input" | "output", type = "application/json"): Json => ({
    content: { [type]: { schema: jsonSchema(schema, io, schemas) } },
  })
  return {
    operationId: name,
    summary: route.summary,
    security: route.who === "anybody" ? [] : [{ [route.who]: [] }],
    parameters: [...parameters(params, "path", schemas), ...parameters(query, "query", schemas)],
    ...(body ? { requestBody: { required: true, ...content(body, "input") } } : {}),
    responses: {
      200: { description: "Done", ...content(answer, "output", name === "feed" ? "application/x-ndjson" : undefined) },
      default: { description: "Refused or failed", ...content(errorBody, "output") },
    },
  }
}

function parameters(schema: z.ZodType | undefined, place: "path" | "query", schemas: Json): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = jsonSchema(schema, "input", schemas) as { properties?: Json; required?: string[] }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: place, required: required.includes(name), schema }))
}

/** A schema as JSON Schema; named ones are put among `schemas` and referred to. */
function jsonSchema(schema: z.ZodType, io: "input" | "output", schemas: Json): Json {
  const { $schema: _dialect, $defs = {}, id, ...whole } = refer(z.toJSONSchema(schema, { io, unrepresentable: "any" })) as Json
  for (const [name, part] of Object.entries($defs as Json)) schemas[name] = part
  if (typeof id !== "string") return whole
  schemas[id] = whole
  return { $ref: `#/components/schemas/${id}` }
}

const refer = (schema: unknown): unknown => JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'))
