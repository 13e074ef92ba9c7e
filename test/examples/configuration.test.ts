import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as configuration from "../../examples/configuration.ts"
import * as dynamicPolicy from "../../examples/dynamic-policy.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const prints = <E>(program: Effect.Effect<unknown, E>, expected: string) =>
  Effect.gen(function*() {
    const output = yield* printed(program)
    assert.deepStrictEqual(widerThan(columns, output), [])
    assert.strictEqual(output, expected)
  })

describe("the guides to configuration", () => {
  it.live("configuration.ts runs one program with several environments, and a worker with two", () =>
    prints(
      configuration.program,
      `nothing is set
  -> warehouse called for A-1
  -> mail to ada@example.org
  at most 2 at once
SIDE_EFFECTS_CONCURRENCY=1
SIDE_EFFECTS_GRACE_PERIOD=5 seconds
  info: Configuration of group "shop": SIDE_EFFECTS_CONCURRENCY=1;
    SIDE_EFFECTS_GRACE_PERIOD=5 seconds
  -> warehouse called for A-1
  -> mail to ada@example.org
  at most 1 at once
SIDE_EFFECTS_ALLOW_ONLY=*:warehouse:*
  info: Configuration of group "shop":
    SIDE_EFFECTS_ALLOW_ONLY=*:warehouse:* keeps in all but 1 of 2 side effects
  -> warehouse called for A-1
  at most 1 at once
SIDE_EFFECTS_MODE=off
SIDE_EFFECTS_CONCURRENCY=none
SIDE_EFFECTS_GRACE_PERIOD=5s
  ! SourceError: Configuration of group "shop": 3 settings are wrong:
  - SIDE_EFFECTS_MODE is "off". It takes one of live, drop, assert-none,
    record; left out, it is live.
  - SIDE_EFFECTS_CONCURRENCY is "none". It takes a whole number, 1 or more.
  - SIDE_EFFECTS_GRACE_PERIOD is "5s". It takes a duration: a number and a
    unit, such as 500 millis, 30 seconds, 5 minutes, 1 hour or 7 days.
SIDE_EFFECTS_BLOK=**
  warn: Configuration of group "shop": SIDE_EFFECTS_BLOK is set, and
    nothing here reads that. After SIDE_EFFECTS_ comes one of MODE, BLOCK,
    ALLOW_ONLY, OUTSIDE_BOUNDARY, CONCURRENCY, CAPACITY, GRACE_PERIOD,
    OUTBOX_QUEUES, OUTBOX_CONCURRENCY, OUTBOX_BATCH_SIZE, OUTBOX_MAX_CRASHES,
    OUTBOX_LEASE, OUTBOX_POLL_INTERVAL, OUTBOX_GRACE_PERIOD,
    OUTBOX_RETENTION_DONE, OUTBOX_RETENTION_DEAD, OUTBOX_RETENTION_UNKNOWN,
    URL.
  -> warehouse called for A-1
  -> mail to ada@example.org
  at most 2 at once

and the outbox:
SIDE_EFFECTS_BLOCK=shop:mail:**
SIDE_EFFECTS_OUTBOX_CONCURRENCY=2
  info: Configuration of the outbox worker of group "shop":
    SIDE_EFFECTS_BLOCK=shop:mail:** keeps in 1 of 2 side effects;
    SIDE_EFFECTS_OUTBOX_CONCURRENCY=2
  warn: The outbox worker of group "shop" begins nothing of
    shop:mail:send, as SIDE_EFFECTS_BLOCK and SIDE_EFFECTS_ALLOW_ONLY say.
    What is in the outbox waits there.
  -> warehouse called for A-1
nothing is set, after a restart
  -> mail to ada@example.org
`
    ))

  it.live("dynamic-policy.ts flips a kill switch in two processes", () =>
    prints(
      dynamicPolicy.program,
      `everything leaves:
  process 1
    warehouse: dispatched by dispatcher inline
    mail: dispatched by dispatcher inline
  process 2
    warehouse: dispatched by dispatcher inline
    mail: dispatched by dispatcher inline
somebody mistypes:
  "shop:mial:**" in
  policy block("shop:mial:**") matches no side effect of group "shop".
  Correct it, or remove it.
  The group has: shop:mail:send, shop:warehouse:call.
the mail provider is in trouble, so mails are blocked:
  process 1
    warehouse: dispatched by dispatcher inline
    mail: dropped by policy dynamic(block("shop:mail:**")): it is blocked
  process 2
    warehouse: dispatched by dispatcher inline
    mail: dropped by policy dynamic(block("shop:mail:**")): it is blocked
back to normal:
  process 1
    warehouse: dispatched by dispatcher inline
    mail: dispatched by dispatcher inline
  process 2
    warehouse: dispatched by dispatcher inline
    mail: dispatched by dispatcher inline
`
    ))
})
