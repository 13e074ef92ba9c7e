/** A process that adds jobs to an engine, or performs them, as told by messages of `lib/processes.ts`. */
import type { Order, Report } from "./lib/processes.ts"
import { type Kind, now, type Producer, range, sleep, type Worker } from "./lib/side.ts"
import { load } from "./sides/index.ts"

const [engine, kind, namespace] = process.argv.slice(2) as [string, Kind, string]
// Nobody outlives the parent, however that ends.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))

const side = await load(engine, kind, namespace)

let producer: Producer | undefined
let worker: Worker | undefined
const handled: Array<number> = []
let heard: ((at: number) => void) | undefined
let ticker: NodeJS.Timeout | undefined
let lastAt = 0

const send = (report: Report): void => void process.send?.(report)

const onJob = (index: number): void => {
  handled.push(index)
  lastAt = now()
  heard?.(lastAt)
}

const perform = async (order: Order): Promise<void> => {
  switch (order._tag) {
    case "Connect":
      producer = await side.producer()
      return send({ _tag: "Done" })
    case "Add": {
      producer ??= await side.producer()
      for (let from = order.from; from < order.to; from += order.size) {
        await producer.add(range(from, Math.min(order.to, from + order.size)))
      }
      return send({ _tag: "Done" })
    }
    case "AddFor": {
      producer ??= await side.producer()
      const begun = now()
      let jobs = 0
      do {
        await producer.add(range(order.from + jobs, order.from + jobs + order.size))
        jobs += order.size
      } while (now() - begun < order.milliseconds)
      return send({ _tag: "Added", jobs, elapsed: now() - begun })
    }
    case "Work":
      worker = await side.work(order.slots, onJob, order)
      ticker = setInterval(() => send({ _tag: "Progress", handled: handled.length, at: lastAt }), 5)
      return send({ _tag: "Done" })
    case "Ping": {
      producer ??= await side.producer()
      const begun: Array<number> = []
      const accepted: Array<number> = []
      for (let i = 0; i < order.jobs; i++) {
        const arrived = new Promise<number>((resolve) => heard = resolve)
        const from = now()
        await producer.add([i])
        const known = now()
        const at = await arrived
        begun.push(at - from)
        accepted.push(Math.max(0, at - known))
        // Not quite regular, so that it does not keep step with somebody's polls.
        await sleep(order.every * (0.5 + ((i * 0.618) % 1)))
      }
      return send({ _tag: "Pinged", begun, accepted })
    }
    case "Stop":
      clearInterval(ticker)
      await worker?.stop()
      await producer?.close()
      // Once it is through: it may be large.
      process.send?.({ _tag: "Handled", indexes: handled } satisfies Report, () => process.exit(0))
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
