/**
 * A process that works for one contender or adds jobs for it, as told by messages of `lib/processes.ts`.
 */
import { load } from "./contenders/index.ts"
import { now, type Producer, range, sleep, type Worker } from "./lib/contender.ts"
import type { Order, Report } from "./lib/processes.ts"

const contender = await load(process.argv[2]!)

let producer: Producer | undefined
let worker: Worker | undefined
const handled: Array<number> = []
const handledAt: Array<number> = []
let ticker: NodeJS.Timeout | undefined

const send = (report: Report): void => void process.send?.(report)

const onJob = (index: number): void => {
  handled.push(index)
}

const onTimedJob = (index: number): void => {
  handledAt.push(now())
  handled.push(index)
}

const offering = new AbortController()
let offered = 0
let demand = 0

/** Keeps as many jobs ahead as it is told. */
const offer = async (size: () => number): Promise<void> => {
  producer ??= await contender.producer()
  while (!offering.signal.aborted) {
    const n = Math.min(size(), demand - offered)
    if (n <= 0) {
      await sleep(2)
      continue
    }
    await producer.add(range(offered, offered + n))
    offered += n
    send({ _tag: "Offered", total: offered, at: now() })
  }
}

let offers: Promise<void> | undefined

const perform = async (order: Order): Promise<void> => {
  switch (order._tag) {
    case "Connect":
      producer = await contender.producer()
      return send({ _tag: "Done" })
    case "Add": {
      producer ??= await contender.producer()
      for (let from = order.from; from < order.to; from += order.size) {
        await producer.add(range(from, Math.min(order.to, from + order.size)))
      }
      return send({ _tag: "Done" })
    }
    case "Insert": {
      producer ??= await contender.producer()
      const begun = now()
      let jobs = 0
      do {
        await producer.add(range(order.from + jobs, order.from + jobs + order.size))
        jobs += order.size
      } while (now() - begun < order.milliseconds)
      return send({ _tag: "Inserted", jobs, elapsed: now() - begun })
    }
    case "Pace": {
      producer ??= await contender.producer()
      const times: Array<readonly [begun: number, committed: number]> = []
      const start = now()
      for (let i = 0; i < order.jobs; i++) {
        // Not quite regular, so that it does not keep step with somebody's polls.
        await sleep(start + (i + ((i * 0.618) % 1) * 0.8) * order.every - now())
        const begun = now()
        await producer.add([order.from + i])
        times.push([begun, now()])
      }
      return send({ _tag: "Times", times })
    }
    case "Offer":
      offers = offer(() => order.sizes[Math.floor(Math.random() * order.sizes.length)]!)
      return send({ _tag: "Done" })
    case "Demand":
      demand = order.total
      return
    case "StopOffering":
      offering.abort()
      await offers
      return send({ _tag: "Done" })
    case "Work":
      worker = await contender.work({ slots: order.slots, pause: order.pause, onJob: order.timed ? onTimedJob : onJob })
      ticker = setInterval(() => send({ _tag: "Progress", handled: handled.length, at: now() }), 10)
      return send({ _tag: "Done" })
    case "Stop":
      clearInterval(ticker)
      await worker?.stop()
      await producer?.close()
      // Once it is through: it may be large.
      process.send?.(
        { _tag: "Handled", indexes: handled, at: handledAt } satisfies Report,
        () => process.disconnect?.()
      )
      return
  }
}

process.on("message", (order: Order) => {
  perform(order).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})

send({ _tag: "Done" })
