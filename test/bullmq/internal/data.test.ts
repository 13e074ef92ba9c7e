import { assert, describe, it } from "@effect/vitest"
import type { Job } from "effect-side-effects/engine"
import * as data from "../../../src/bullmq/internal/data.ts"

const job: Job.Job = {
  id: "id",
  name: "a:b",
  queue: "default",
  priority: 0,
  payload: { to: "ada" },
  delay: 0,
  createdAt: 5000
}

const dataOf = (part: Partial<Job.Job>, now = 5000) => data.dataOf({ ...job, ...part }, now)

const taken = (part: object) =>
  data.take(
    {
      attemptsMade: 0,
      data: { to: "ada" },
      id: "id",
      name: "a:b",
      opts: {},
      priority: 0,
      stalledCounter: 0,
      timestamp: 4000,
      ...part
    } as any,
    "default",
    "side-effects",
    (name) => name === "void"
  )

describe("the data of a job", () => {
  it("is the payload and nothing else when there is nothing else", () => {
    assert.strictEqual(dataOf({}), job.payload)
    assert.deepStrictEqual(dataOf({ payload: {} }), {})
  })

  it("has one key more, and that is the last, when there is more to say", () => {
    const metadata = { a: 1 }
    const all = dataOf({ key: "k", origin: "o", trace: "t", metadata })
    assert.strictEqual(
      JSON.stringify(all),
      JSON.stringify({ to: "ada", "effect-side-effects": { key: "k", origin: "o", metadata, trace: "t" } })
    )
  })

  it("holds under that key what is no object, or has that key itself", () => {
    for (const payload of [null, "text", 1, ["a"], { "effect-side-effects": 1 }]) {
      assert.deepStrictEqual(dataOf({ payload }), { "effect-side-effects": { payload } })
      assert.deepStrictEqual(taken({ data: dataOf({ payload, key: "k" }) })?.job.payload, payload)
    }
  })

  it("tells when it was made, where BullMQ cannot know", () => {
    assert.strictEqual(taken({ data: dataOf({}, 5999) })?.job.createdAt, 4000)
    assert.strictEqual(taken({ data: dataOf({}, 6000) })?.job.createdAt, 5000)
  })

  it("is read without our key, as others write it", () => {
    for (const payload of [{ to: "ada" }, {}, null, "text", ["a"]]) {
      assert.deepStrictEqual(taken({ data: payload })?.job.payload, payload)
    }
    assert.strictEqual(taken({ name: "void", data: {} })?.job.payload, null)
  })

  it("with our key in it that is not ours is not taken", () => {
    assert.isUndefined(taken({ data: { "effect-side-effects": "mine" } }))
    assert.isUndefined(taken({ data: { "effect-side-effects": { key: 1 } } }))
  })

  it("an id that BullMQ has made is unique in its queue only, and so is not used alone", () => {
    assert.strictEqual(taken({ id: "17" })?.job.id, "side-effects:17")
    assert.strictEqual(taken({ id: "mine" })?.job.id, "mine")
  })
})

describe("priorities", () => {
  it("keep their order in BullMQ, where lower ones come first and none before all", () => {
    const ours = [1_000_000, 7, 1, 0, -1, -7, -1_000_000]
    const all = ours.map((priority) => data.priorityOf(priority, true)!)
    assert.deepStrictEqual(all.toSorted((a, b) => a - b), all)
    assert.strictEqual(new Set(all).size, ours.length)
    assert.isTrue(all.every((priority) => priority > 0 && priority < 2 ** 21))
    assert.isUndefined(data.priorityOf(0, false))
    assert.isAbove(data.priorityOf(-1, false)!, all[3]!)
    for (const [i, priority] of all.entries()) assert.strictEqual(taken({ priority })?.job.priority, ours[i])
    assert.strictEqual(taken({ priority: 0 })?.job.priority, 0)
  })
})

describe("what has happened to a job", () => {
  const failed = { attempts: 2, failures: 2, failedAt: [1, 2], crashes: 0, made: 2, stalled: 0 }
  const progressOf = (progress: data.Progress | undefined, part: object) => {
    const one = taken({ data: progress === undefined ? {} : data.withProgress({}, progress), ...part })!
    const { attempts, crashes, failures } = one.job.progress!
    return { attempts, crashes, failures, moved: one.moved, progress: one.progress }
  }
  const counts = (progress: data.Progress | undefined, part: object) => {
    const { progress: _, ...rest } = progressOf(progress, part)
    return rest
  }

  it("is nothing at first", () => {
    assert.deepStrictEqual(counts(undefined, {}), { attempts: 0, crashes: 0, failures: 0, moved: false })
  })

  it("is what was noted, and the crashes since", () => {
    assert.deepStrictEqual(counts(failed, { attemptsMade: 2 }), { attempts: 2, crashes: 0, failures: 2, moved: false })
    assert.deepStrictEqual(counts(undefined, { stalledCounter: 2 }), {
      attempts: 2,
      crashes: 2,
      failures: 0,
      moved: false
    })
    assert.deepStrictEqual(counts(failed, { attemptsMade: 2, stalledCounter: 1 }), {
      attempts: 3,
      crashes: 1,
      failures: 2,
      moved: false
    })
  })

  it("begins anew when BullMQ has heard of an end that we have not noted: somebody has retried it", () => {
    const fresh = { attempts: 0, crashes: 0, failures: 0, moved: true }
    assert.deepStrictEqual(counts(failed, { attemptsMade: 3 }), fresh)
    assert.deepStrictEqual(counts(failed, { attemptsMade: 3, stalledCounter: 5 }), fresh)
    // With `resetAttemptsMade`.
    assert.deepStrictEqual(counts(failed, { attemptsMade: 0 }), fresh)
    assert.deepStrictEqual(counts(undefined, { attemptsMade: 1 }), fresh)
  })

  it("goes on from there", () => {
    const { progress } = progressOf(failed, { attemptsMade: 3, stalledCounter: 5 })
    assert.deepStrictEqual(counts(progress, { attemptsMade: 3, stalledCounter: 6 }), {
      attempts: 1,
      crashes: 1,
      failures: 0,
      moved: false
    })
  })

  it("counts once what failed, was noted, and was lost before BullMQ had heard of it", () => {
    const { progress, ...rest } = progressOf(failed, { attemptsMade: 1, stalledCounter: 1 })
    assert.deepStrictEqual(rest, { attempts: 2, crashes: 0, failures: 2, moved: true })
    assert.deepStrictEqual(counts(progress, { attemptsMade: 1, stalledCounter: 1 }), {
      attempts: 2,
      crashes: 0,
      failures: 2,
      moved: false
    })
  })

  it("goes on from the failures of somebody else's worker", () => {
    assert.deepStrictEqual(counts(undefined, { attemptsMade: 2, failedReason: "no" }), {
      attempts: 2,
      crashes: 0,
      failures: 2,
      moved: false
    })
  })

  it("is kept beside everything else", () => {
    const before = { to: "ada", "effect-side-effects": { key: "k" } }
    assert.deepStrictEqual(data.withProgress(before, failed), {
      to: "ada",
      "effect-side-effects": { key: "k", progress: failed }
    })
    assert.deepStrictEqual(taken({ data: data.withProgress("text", failed), attemptsMade: 2 })?.job.payload, "text")
  })
})
