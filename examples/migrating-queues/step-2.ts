/** Step 2: old and new workers on one queue, each performs what both kinds of call sites produce. An old one is killed. */
import { Effect } from "effect"
import { show, type Step } from "./shop.ts"
import * as before from "./step-1.ts"
import { disconnect } from "./world.ts"

export const step: Step = {
  ...before.step,
  title: "step 2, run both",
  workers: { old: 1, new: 1 },
  kill: true
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(Effect.ensuring(program, Effect.sync(disconnect)))
