import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as api from "../../examples/http-api.ts"
import * as server from "../../examples/http-server.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const prints = <E>(program: Effect.Effect<unknown, E>, expected: string) =>
  Effect.gen(function*() {
    const output = yield* printed(program)
    assert.deepStrictEqual(widerThan(columns, output), [])
    assert.strictEqual(output, expected)
  })

describe("the guides to HTTP", () => {
  it.live("http-server.ts answers when all is kept, before all is done", () =>
    prints(
      server.program,
      `POST /orders/1042
  POST /orders/:order is released
  the client reads 201
  -> wrote the invoice of order 1042
  -> mailed a confirmation of order 1042
POST /orders/1042
  POST /orders/:order is discarded
  the client reads 409
`
    ))

  it.live("http-api.ts discards where a declared error is answered", () =>
    prints(
      api.program,
      `POST /accounts/ada
  -> mailed a welcome to ada
  POST /accounts/:name is released
  200 "ada is welcome"
POST /accounts/ada
  POST /accounts/:name is discarded
  409 {"_tag":"NameTaken","name":"ada"}
GET /accounts
  200 ["ada"]
`
    ))
})
