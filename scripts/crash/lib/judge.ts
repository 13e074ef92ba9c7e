import type { Line } from "./log.ts"
import type { World } from "./world.ts"

/** What became of a world. */
export interface Verdict {
  readonly name: string
  readonly kills: number
  readonly committed: number
  readonly rolledBack: number
  readonly unknown: number
  readonly wishes: number
  readonly performed: number
  readonly lost: number
  readonly ghosts: number
  readonly duplicates: number
  readonly explained: number
  /** What must not be. */
  readonly problems: ReadonlyArray<string>
  readonly notes: ReadonlyArray<string>
  readonly causes: ReadonlyMap<string, number>
}

interface Delivery {
  readonly id: string
  readonly token: number
  readonly by: string
  readonly wish: string
  readonly attempt: number
  readonly begun: number
  ended: "ended" | "failed" | "interrupted" | undefined
  settled: { readonly as: string; readonly at: number; readonly asked: number } | undefined
  /** When it heard that somebody else may have it. */
  refused: number | undefined
}

const count = <A>(map: Map<A, number>, key: A): void => void map.set(key, (map.get(key) ?? 0) + 1)

export const judge = async (name: string, world: World, notes: ReadonlyArray<string> = []): Promise<Verdict> => {
  const { entries, lines, orders, wishes } = await world.read()
  const problems = [...world.problems]

  // --- orders: what producers were told, and what is there ---

  const verdicts = new Map<string, Line["is"]>()
  for (const line of lines) if ("order" in line) verdicts.set(line.order, line.is)
  const told = (is: Line["is"]) => [...verdicts].flatMap(([order, verdict]) => verdict === is ? [order] : [])
  const gone = told("committed").filter((order) => !orders.has(order))
  if (gone.length > 0) problems.push(`${gone.length} orders were committed and are not there, such as ${gone[0]}`)
  const risen = told("rolled-back").filter((order) => orders.has(order))
  if (risen.length > 0) problems.push(`${risen.length} orders were rolled back and are there, such as ${risen[0]}`)

  // --- deliveries ---

  const deliveries = new Map<number, Delivery>()
  const claims = new Map<string, Array<{ readonly attempt: number; readonly at: number }>>()
  const claimOf = new Map<number, { readonly id: string; readonly attempt: number }>()
  for (const line of lines) {
    switch (line.is) {
      case "claimed":
        claims.set(line.id, [...(claims.get(line.id) ?? []), line])
        claimOf.set(line.token, line)
        break
      case "begun": {
        const { at, attempt, by, id, token, wish } = line
        if (deliveries.has(token)) problems.push(`${id} was begun twice under one claim`)
        const settled = undefined
        deliveries.set(token, {
          id,
          token,
          by,
          wish,
          attempt,
          begun: at,
          ended: undefined,
          settled,
          refused: undefined
        })
      }
    }
  }
  let refusals = 0
  for (const line of lines) {
    if (!("token" in line)) continue
    const delivery = deliveries.get(line.token)
    switch (line.is) {
      case "ended":
      case "failed":
      case "interrupted":
        delivery!.ended = line.is
        break
      case "settled": {
        if (delivery !== undefined) delivery.settled = { as: line.as, at: line.at, asked: line.asked }
        // The fence: whoever holds an old claim changes nothing.
        const claim = claimOf.get(line.token)
        if (claim === undefined) break
        if (claims.get(claim.id)!.some(({ at, attempt }) => at < line.asked && attempt > claim.attempt)) {
          problems.push(`${line.by} settled ${claim.id} after somebody else had claimed it`)
        }
        break
      }
      case "refused":
      case "lost":
        if (line.is === "refused") refusals++
        if (delivery !== undefined) delivery.refused ??= line.at
    }
  }
  const byEntry = Map.groupBy(deliveries.values(), ({ id }) => id)
  const performedEntries = new Set([...deliveries.values()].flatMap(({ ended, id }) => ended === "ended" ? [id] : []))
  const performedWishes = new Set(
    [...deliveries.values()].flatMap(({ ended, wish }) => ended === "ended" ? [wish] : [])
  )

  // --- ghosts: begun, although its wish was rolled back ---

  const entriesById = new Map(entries.map((entry) => [entry.id, entry]))
  const ghosts = new Set<string>()
  for (const { id, wish } of deliveries.values()) if (!wishes.has(wish) || !entriesById.has(id)) ghosts.add(wish)
  for (const { id, payload } of entries) {
    const { wish } = JSON.parse(payload)
    if (!wishes.has(wish)) ghosts.add(`${wish} (entry ${id})`)
  }
  if (ghosts.size > 0) problems.push(`ghosts, such as ${[...ghosts].slice(0, 3).join(", ")}`)

  // --- lost: wished for and not performed ---

  const originals = entries.filter(({ replayOf }) => replayOf === undefined)
  const keyOf = new Map(
    originals.flatMap(({ key, name, payload }) =>
      key === undefined ? [] : [[JSON.parse(payload).wish as string, `${name} ${key}`] as const]
    )
  )
  const performedKeys = new Set([...performedWishes].flatMap((wish) => wishes.get(wish)?.key ?? []))
  const lost: Array<string> = []
  for (const [id, { key, poison }] of wishes) {
    if (!poison && !performedWishes.has(id) && (key === null || !performedKeys.has(key))) lost.push(id)
  }
  for (const { error, id, payload, reason, replayOf, state } of entries) {
    const wish = wishes.get(JSON.parse(payload).wish)
    if (wish?.poison === true) {
      if (state !== "dead" || reason !== "crashed") {
        problems.push(`the poison ${wish.id} is ${state}, not dead as crashed`)
      }
      continue
    }
    if (state === "dead") problems.push(`${wish?.id} is dead as ${reason}: ${error?.split("\n")[0]}`)
    if (state === "done" && !performedEntries.has(id)) problems.push(`${wish?.id} is done and was never performed`)
    if (replayOf !== undefined && !performedEntries.has(id)) lost.push(`${wish?.id} (replay)`)
  }
  if (lost.length > 0) problems.push(`lost: ${lost.slice(0, 5).join(", ")}`)

  // --- written twice: more than one entry for a wish, or for a key ---

  const written = new Map<string, number>()
  for (const { payload } of originals) count(written, `wish ${JSON.parse(payload).wish}`)
  for (const key of keyOf.values()) count(written, `key ${key}`)
  const twice = [...written].flatMap(([what, times]) => times > 1 ? [`${what} ×${times}`] : [])
  if (twice.length > 0) problems.push(`written more than once: ${twice.slice(0, 3).join(", ")}`)
  const repeated = new Map<string, number>()
  for (const { replayOf } of entries) if (replayOf !== undefined) count(repeated, replayOf)
  for (const [id, times] of repeated) if (times > 1) problems.push(`${id} was replayed ${times} times`)

  // --- early ---

  for (const { by, begun, wish } of deliveries.values()) {
    const early = (wishes.get(wish)?.notBefore ?? 0) - begun
    if (early > 2) problems.push(`${by} performed ${wish} ${Math.round(early)} ms too early`)
  }

  // --- duplicates, and why ---

  const troubles = lines.filter((line) => line.is === "trouble")
  const causes = new Map<string, number>()
  let duplicates = 0
  let explained = 0
  const whyAgain = ({ begun, by, refused, settled }: Delivery): string | undefined => {
    if (settled !== undefined) return settled.as === "Release" ? "handed back" : undefined
    const known = refused ?? Infinity
    const death = world.deaths.get(by)
    if (refused === undefined && death !== undefined && death.at >= begun) return "killed"
    if (world.stops.some((stop) => stop.by === by && stop.to >= begun && stop.from <= known)) return "stopped"
    if (world.terminations.some((at) => at >= begun - world.lease && at <= known)) return "disconnected"
    const trouble = troubles.find((trouble) =>
      trouble.by === by && trouble.at >= begun - world.lease && trouble.at - trouble.took <= known
    )
    return trouble === undefined ? undefined : trouble.what
  }
  for (const [id, all] of byEntry) {
    const real = all.filter(({ ended }) => ended !== "failed")
      // Whoever stood still may begin an older claim last.
      .sort((left, right) => left.attempt - right.attempt || left.begun - right.begun)
    for (const delivery of real.slice(0, -1)) {
      duplicates++
      const why = whyAgain(delivery)
      if (why === undefined) {
        problems.push(
          `unexplained: ${delivery.wish} (${id}) was begun by ${delivery.by}, ${delivery.ended ?? "did not end"}, ` +
            `${delivery.settled === undefined ? "not settled" : `settled as ${delivery.settled.as}`}, and begun again`
        )
      } else {
        explained++
        count(causes, why)
      }
    }
  }

  const wanted = [...wishes.values()].filter(({ poison }) => !poison)
  return {
    name,
    kills: world.kills,
    committed: told("committed").length,
    rolledBack: told("rolled-back").length,
    unknown: told("tries").length + told("unsure").length,
    wishes: wanted.length,
    performed: wanted.filter(({ id, key }) => performedWishes.has(id) || performedKeys.has(key!)).length,
    lost: lost.length,
    ghosts: ghosts.size,
    duplicates,
    explained,
    problems,
    notes: refusals > 0 ? [...notes, `late settles refused: ${refusals}`] : notes,
    causes
  }
}
