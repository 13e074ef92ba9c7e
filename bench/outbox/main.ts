/**
 * The durable outbox beside its peers, each with its own tables on the same servers, in the same run, in turns.
 *
 *     node bench/outbox/main.ts                          all sections, about two hours
 *     node bench/outbox/main.ts --quick                  fewer and shorter rounds, about half an hour
 *     node bench/outbox/main.ts insert drain             some of the sections, see below
 *     node bench/outbox/main.ts drain --only outbox,pg-boss/batch
 *                                                        some of the contenders
 *     node bench/outbox/main.ts growth --minutes 30
 *     node bench/outbox/main.ts --strict                 exits with 1 when a bar is missed or a job is lost
 *
 * Absolute figures are those of the machine; compare within a run.
 */
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { cleanUp } from "./contenders/index.ts"
import { auditProblems } from "./lib/audit.ts"
import { summary } from "./lib/bars.ts"
import { createDatabase, describeServer, dropDatabase } from "./lib/database.ts"
import type { Effort } from "./lib/effort.ts"
import { backlog } from "./sections/backlog.ts"
import { drain } from "./sections/drain.ts"
import { growth } from "./sections/growth.ts"
import { insert } from "./sections/insert.ts"
import { latency } from "./sections/latency.ts"
import { longTransaction } from "./sections/longTransaction.ts"
import { slowHandlers } from "./sections/slowHandlers.ts"
import { sqlite } from "./sections/sqlite.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    minutes: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    slots: { type: "string", default: "512" },
    only: { type: "string" }
  }
})

const { quick } = values
const only = values.only?.split(",")

const effort: Effort = {
  quick,
  rounds: Number(values.rounds ?? (quick ? 1 : 5)),
  seconds: Number(values.seconds ?? (quick ? 1 : 2)),
  slots: Number(values.slots),
  minutes: Number(values.minutes ?? (quick ? 1 : 30)),
  only: (id) => only === undefined || only.some((name) => id === name || id.startsWith(`${name}/`))
}

const sections: Readonly<Record<string, (effort: Effort) => Promise<void>>> = {
  insert,
  drain,
  "slow-handlers": slowHandlers,
  latency,
  "long-transaction": longTransaction,
  backlog,
  growth,
  sqlite
}

for (const name of positionals) {
  if (sections[name] === undefined) {
    console.error(`There is no section ${name}. There are: ${Object.keys(sections).join(", ")}`)
    process.exit(2)
  }
}

await createDatabase()
console.log(`node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}${quick ? ", quick" : ""}`)
console.log(await describeServer())
try {
  for (const [name, section] of Object.entries(sections)) {
    if (positionals.length === 0 || positionals.includes(name)) await section(effort)
  }
} finally {
  await cleanUp()
  await dropDatabase()
}

const missed = summary()
for (const problem of auditProblems()) console.log(`!! ${problem}`)
process.exitCode = values.strict && (missed > 0 || auditProblems().length > 0) ? 1 : 0
