import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as operating from "../../examples/outbox-operating.ts"
import * as postgres from "../../examples/outbox-postgres.ts"
import * as quickStart from "../../examples/outbox-quick-start.ts"
import * as retries from "../../examples/outbox-retries.ts"
import * as testing from "../../examples/outbox-testing.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const prints = <E>(program: Effect.Effect<unknown, E>, expected: string) =>
  Effect.gen(function*() {
    const output = yield* printed(program)
    assert.deepStrictEqual(widerThan(columns, output), [])
    assert.strictEqual(output, expected)
  })

describe("the guides to the outbox", () => {
  it.live("outbox-quick-start.ts performs what was committed, and nothing of what was rolled back", () =>
    prints(
      quickStart.program,
      `order 1 is placed
order 2 is rolled back: the card has expired
mailed a confirmation of order 1
`
    ))

  it.live("outbox-retries.ts shows four ways to end, and what to do about the last", () =>
    prints(
      retries.program,
      `acme:
  attempt 1: NoAnswer
  attempt 2: NoAnswer
  attempt 3: acme takes A-1
  done after attempt 3
bistro:
  attempt 1: AtLunch
  attempt 1: bistro takes A-1
  done after attempt 1
closed:
  attempt 1: ClosedDown
  dead after attempt 1: cancelled, cancelled: the partner has closed down
down:
  attempt 1: NoAnswer
  attempt 2: NoAnswer
  attempt 3: NoAnswer
  alert: down knows nothing of A-1
  dead after attempt 3: exhausted, NoAnswer: down does not answer
the dead letters, and every delivery of one of them:
  exhausted: {"order":"A-1","partner":"down"}
  cancelled: {"order":"A-1","partner":"closed"}
    1 failed
    2 failed
    3 failed
down is up again, so what it did not hear gets another try:
  1 retried
  attempt 4: down takes A-1
`
    ))

  it.live("outbox-operating.ts stops, starts, mends and repeats", () =>
    prints(
      operating.program,
      `The mail provider is in trouble, so mails are stopped. They are still accepted:
  -> invoice 1 booked
  -> invoice 2 booked
  2 pending billing:mail:invoice
  2 done billing:ledger:book
Back to normal:
  -> invoice 1 mailed to ada@example.org
One is dead, and says why:
  exhausted, {"invoice":2,"to":"grace@mistyped.test"}
  MailboxUnknown: there is no mailbox grace@mistyped.test
Its payload is edited, against the schema, and it gets another try:
  refused: Expected an address   at ["to"]
  -> invoice 2 mailed to grace@example.org
Ada has lost her invoice, and wants it once more:
  -> invoice 1 mailed to ada@example.org
  the new entry names the one it repeats: true
What is wrong in general, and what to do about it:
  error: 2 side effects are due, and no worker has been seen yet.
    Start one: Outbox.layerWorker, or side-effects outbox work.
`
    ))

  it.live("outbox-testing.ts passes five tests", () =>
    prints(
      testing.program,
      `ok  a welcome is sent once
ok  an address that is taken gets nothing
ok  a reminder is sent after three days
ok  a mail is tried again after an hour
ok  a test in a transaction leaves nothing behind
`
    ))

  it.live.skipIf(!process.env.POSTGRES_URL)("outbox-postgres.ts performs at the commit, without a poll", () =>
    prints(
      postgres.program,
      `tea: committed
  the marketplace hears: tea, 990
coffee: refused by the database, so nobody hears of it
done, long before the worker would have polled
`
    ))
})
