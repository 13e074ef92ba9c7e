/**
 * Each engine used bare, as its own documentation says, and used through us, in the same run, in turns.
 *
 *     npm run bench:engines                          all engines and sections, about half an hour
 *     npm run bench:engines -- --quick               fewer and shorter rounds
 *     npm run bench:engines -- perform latency       some of the sections: hand-over, perform, end-to-end, latency, scaling
 *     npm run bench:engines -- --engine bullmq       some of the engines
 *     npm run bench:engines -- --strict              exits with 1 when a bar is missed or a job is lost or done twice
 *
 * Needs POSTGRES_URL and REDIS_URL; an engine whose server is not named is skipped. Both sides keep what the engine does by
 * default, have the same connection, payloads, batches and number of handlers. Absolute figures are those of the machine;
 * compare within a run.
 */
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { summary } from "../lib/report.ts"
import { auditProblems } from "./lib/audit.ts"
import type { Effort } from "./lib/effort.ts"
import { removeAll } from "./lib/places.ts"
import { handOver } from "./sections/handOver.ts"
import { latency } from "./sections/latency.ts"
import { endToEnd, perform } from "./sections/perform.ts"
import { scaling } from "./sections/scaling.ts"
import { engines, missing } from "./sides/index.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    engine: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    slots: { type: "string", default: "32" }
  }
})

const sections: Readonly<Record<string, (effort: Effort) => Promise<void>>> = {
  "hand-over": handOver,
  perform,
  "end-to-end": endToEnd,
  latency,
  scaling
}

const refuse = (what: string, given: string, known: ReadonlyArray<string>): never => {
  console.error(`There is no ${what} ${given}. There are: ${known.join(", ")}.`)
  process.exit(2)
}

for (const name of positionals) if (sections[name] === undefined) refuse("section", name, Object.keys(sections))
const wanted = values.engine?.split(",") ?? engines
for (const name of wanted) if (!engines.includes(name)) refuse("engine", name, engines)

const { quick } = values
console.log(`node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}${quick ? ", quick" : ""}`)
for (const name of wanted) {
  const unset = missing(name)
  if (unset !== undefined) console.log(`${name} is skipped: ${unset} is not set.`)
}

const effort: Effort = {
  quick,
  rounds: Number(values.rounds ?? (quick ? 3 : 7)),
  seconds: Number(values.seconds ?? (quick ? 1 : 2)),
  slots: Number(values.slots),
  batch: 100,
  engines: wanted.filter((name) => missing(name) === undefined)
}

try {
  for (const [name, section] of Object.entries(sections)) {
    if (positionals.length === 0 || positionals.includes(name)) await section(effort)
  }
} finally {
  await removeAll()
}

const missed = summary()
for (const problem of auditProblems()) console.log(`!! ${problem}`)
process.exit(values.strict && (missed > 0 || auditProblems().length > 0) ? 1 : 0)
