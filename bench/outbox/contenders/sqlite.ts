import { Layer } from "effect"
import { randomUUID } from "node:crypto"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SqlOutboxStore } from "../../../src/sql/index.ts"
import { SqliteClient } from "../../../src/sqlite/index.ts"
import { type Contender, payloadOf, type Producer, sleep, type Work, type Worker } from "../lib/contender.ts"
import { on } from "./outbox.ts"

const removeFiles = (filename: string): void => {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(filename + suffix, { force: true })
}

const open = (filename: string): DatabaseSync => {
  const db = new DatabaseSync(filename)
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000")
  return db
}

/** On a file of its own. Each side has its own connection, as one connection serialises transactions. */
const onFile = (name: string, table = "side_effects_outbox") => {
  const filename = join(tmpdir(), `bench_outbox_${name}.sqlite`)
  const side = () => on(SqlOutboxStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename }))))
  const producing = side()
  const reset = async (): Promise<void> => {
    removeFiles(filename)
    await producing.shared.acquire()
    await producing.shared.release()
  }
  const unsettled = async (): Promise<number> => {
    const db = open(filename)
    const row = db.prepare(`SELECT count(*) AS n FROM ${table} WHERE state <> 1`).get()
    db.close()
    return Number(row!["n"])
  }
  return { filename, producing, working: side(), reset, unsettled }
}

const outbox = onFile("outbox")
const alone = onFile("alone")
const byHand = onFile("by_hand", "by_hand")

/** At the end of a run. */
export const removeAllFiles = (): void => {
  for (const { filename } of [outbox, alone, byHand]) removeFiles(filename)
}

// -- By hand, with node:sqlite alone, on a copy of the table and of its indexes

const resetByHand = async (): Promise<void> => {
  await byHand.reset()
  const db = open(byHand.filename)
  const rows = db.prepare("SELECT sql FROM sqlite_master WHERE tbl_name = 'side_effects_outbox' AND sql IS NOT NULL")
    .all()
  for (const { sql } of rows) db.exec(String(sql).replaceAll("side_effects_outbox", "by_hand"))
  db.close()
}

const clock = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

const insertByHand = "INSERT INTO by_hand (id, queue, name, rank, payload, visible_at, created_at) " +
  `VALUES (?, ?, ?, ?, ?, ${clock}, ${clock})`

const name = "orders:mail:send-receipt"

const produceByHand = async (): Promise<Producer> => {
  const db = open(byHand.filename)
  const statement = db.prepare(insertByHand)
  return {
    add: async (indexes) => {
      db.exec("BEGIN IMMEDIATE")
      for (const index of indexes) statement.run(randomUUID(), "default", name, 0, JSON.stringify(payloadOf(index)))
      db.exec("COMMIT")
    },
    close: async () => db.close()
  }
}

const workByHand = async ({ onJob }: Work): Promise<Worker> => {
  const db = open(byHand.filename)
  const claim = db.prepare(
    "UPDATE by_hand SET attempts = attempts + 1, lease = abs(random()) % 9007199254740991, " +
      `visible_at = ${clock} + 30000, started_at = ${clock} WHERE seq IN (SELECT seq FROM by_hand WHERE state = 0 AND ` +
      `queue = 'default' AND name = '${name}' AND rank = 0 AND visible_at <= ${clock} ORDER BY visible_at, seq LIMIT 500) ` +
      "RETURNING seq, payload"
  )
  const settle = db.prepare(
    `UPDATE by_hand SET state = 1, lease = NULL, finished_at = ${clock} WHERE seq IN (SELECT value FROM json_each(?))`
  )
  const stopping = new AbortController()
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const rows = claim.all()
      for (const { payload } of rows) onJob(JSON.parse(String(payload)).index)
      if (rows.length > 0) settle.run(JSON.stringify(rows.map(({ seq }) => seq)))
      await sleep(rows.length > 0 ? 0 : 5)
    }
  }
  const done = loop()
  return {
    stop: async () => {
      stopping.abort()
      await done
      db.close()
    }
  }
}

const common = {
  database: "SQLite",
  reset: outbox.reset,
  producer: outbox.producing.producer,
  unsettled: outbox.unsettled
} as const

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...common,
    name: "outbox, default",
    settings: "32 slots",
    pace: 20_000,
    work: outbox.working.work(() => ({}))
  },
  tuned: {
    ...common,
    name: "outbox, tuned",
    settings: "concurrency = slots",
    pace: 20_000,
    work: outbox.working.work((slots) => ({ concurrency: slots, batchSize: Math.max(500, slots) }))
  },
  store: {
    database: "SQLite",
    name: "outbox, the store alone",
    settings: "offerMany",
    pace: 20_000,
    reset: alone.reset,
    unsettled: alone.unsettled,
    producer: alone.producing.storeProducer,
    work: () => Promise.reject(new Error("The store alone does no work"))
  },
  "by-hand": {
    database: "SQLite",
    name: "by hand",
    settings: "node:sqlite",
    pace: 40_000,
    reset: resetByHand,
    unsettled: byHand.unsettled,
    producer: produceByHand,
    work: workByHand
  }
}
