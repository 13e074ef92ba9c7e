/** Step 4: the old worker is gone. What it would have performed, the new one does. */
import { Effect } from "effect"
import { show, type Step } from "./shop.ts"
import * as before from "./step-3.ts"
import { disconnect } from "./world.ts"

export const step: Step = {
  ...before.step,
  title: "step 4, remove",
  workers: { new: 2 }
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(Effect.ensuring(program, Effect.sync(disconnect)))
