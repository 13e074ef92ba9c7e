/**
 * What a deployer turns without a release. All names stand here: the table in docs/configuration.md has the same ones.
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** What is read below `SIDE_EFFECTS_`. */
const known = [
  "MODE",
  "BLOCK",
  "ALLOW_ONLY",
  "OUTSIDE_BOUNDARY",
  "CONCURRENCY",
  "CAPACITY",
  "GRACE_PERIOD",
  "OUTBOX_QUEUES",
  "OUTBOX_CONCURRENCY",
  "OUTBOX_BATCH_SIZE",
  "OUTBOX_MAX_CRASHES",
  "OUTBOX_LEASE",
  "OUTBOX_POLL_INTERVAL",
  "OUTBOX_GRACE_PERIOD",
  "OUTBOX_RETENTION_DONE",
  "OUTBOX_RETENTION_DEAD",
  "OUTBOX_RETENTION_UNKNOWN",
  "URL"
] as const

export type Name = typeof known[number]

const names: ReadonlyArray<string> = /*#__PURE__*/ known.map((name) => `SIDE_EFFECTS_${name}`)

/** Reads one setting after the other, and says at the end everything that is wrong. */
export class Settings {
  readonly problems: Array<string> = []
  /** What is turned, as it is said when the layer is built. */
  readonly turned: Array<string> = []

  /** The lists that stand in the source as such. */
  private readonly arrays = new Set<string>()

  /** The values of a list: separated by commas, or an array where the source has arrays. */
  list(name: Name, takes: string): Effect.Effect<ReadonlyArray<string>, Config.ConfigError> {
    const full = `SIDE_EFFECTS_${name}`
    const given = (texts: ReadonlyArray<string>) => texts.map((text) => text.trim()).filter((text) => text !== "")
    return Effect.flatMap(load([full]), (node) => {
      if (node?._tag !== "Array" || node.value !== undefined) {
        return Effect.succeed(given(this.text(node, full, takes).split(",")))
      }
      this.arrays.add(full)
      const indices = Array.from({ length: node.length }, (_, index) => index)
      return Effect.map(
        Effect.forEach(
          indices,
          (index) => Effect.map(load([full, index]), (node) => this.text(node, `${full}[${index}]`, takes))
        ),
        given
      )
    })
  }

  patterns(name: "BLOCK" | "ALLOW_ONLY") {
    return this.list(name, "patterns, separated by commas, or a list of them")
  }

  /** Nothing where it is not set, and where it is wrong. */
  one<A>(
    name: Name,
    takes: string,
    parse: (text: string) => A | undefined,
    leftOut?: A
  ): Effect.Effect<A | undefined, Config.ConfigError> {
    const full = `SIDE_EFFECTS_${name}`
    return Effect.map(load([full]), (node) => {
      const raw = this.text(node, full, takes)
      const text = raw.trim()
      if (text === "") return undefined
      const value = parse(text.toLowerCase())
      if (value === undefined) this.problems.push(`${full} is ${JSON.stringify(raw)}. It takes ${takes}.`)
      else if (value !== leftOut) this.turned.push(`${full}=${text}`)
      return value
    })
  }

  /** Empty where it is not set. What is set and is no text must not look as if it were not set. */
  private text(node: ConfigProvider.Node | undefined, what: string, takes: string): string {
    if (node === undefined || node.value !== undefined) return node?.value ?? ""
    this.problems.push(`${what} holds ${node._tag === "Array" ? "a list" : "an object"}. It takes ${takes}.`)
    return ""
  }

  oneOf<A extends string>(name: Name, values: ReadonlyArray<A>, leftOut: A) {
    return this.one(
      name,
      `one of ${values.join(", ")}; left out, it is ${leftOut}`,
      (text) => values.find((value) => value === text.replaceAll("_", "-")),
      leftOut
    )
  }

  number(name: Name) {
    return this.one(name, "a whole number, 1 or more", (text) => {
      const n = /^\d+$/.test(text) ? Number(text) : 0
      return Number.isSafeInteger(n) && n > 0 ? n : undefined
    })
  }

  /** Of `least` milliseconds or more. */
  duration(name: Name, least: 0 | 1) {
    return this.one(
      name,
      `a duration${least === 0 ? "" : " above 0"}: a number and a unit, such as 500 millis, 30 seconds, 5 minutes, ` +
        "1 hour or 7 days",
      (text) =>
        Option.getOrUndefined(Option.filter(Duration.fromInput(text as Duration.Input), (duration) => {
          const millis = Duration.toMillis(duration)
          return millis >= least && Number.isFinite(millis)
        }))
    )
  }

  /** Fails with all that is wrong, or says in the log what was turned, by whose name. */
  end(who: string): Effect.Effect<void, Config.ConfigError> {
    return Effect.suspend(() => {
      const { problems, turned } = this
      const head = `Configuration of ${who}`
      if (problems.length > 0) {
        return Effect.fail(
          new Config.ConfigError(
            new ConfigProvider.SourceError({
              message: `${head}: ${
                problems.length === 1
                  ? problems[0]
                  : `${problems.length} settings are wrong:\n${problems.map((problem) => `- ${problem}`).join("\n")}`
              }`
            })
          )
        )
      }
      return Effect.andThen(
        warnOfStrays(head, this.arrays),
        turned.length === 0 ? Effect.void : Effect.logInfo(`${head}: ${turned.join("; ")}`)
      )
    })
  }
}

const load = (path: ConfigProvider.Path): Effect.Effect<ConfigProvider.Node | undefined, Config.ConfigError> =>
  Effect.flatMap(
    ConfigProvider.ConfigProvider,
    (provider) => Effect.mapError(provider.load(path), (error) => new Config.ConfigError(error))
  )

const below = (node: ConfigProvider.Node | undefined): ReadonlyArray<string | number> => {
  if (node?._tag === "Record") return [...node.keys]
  if (node?._tag !== "Array") return []
  // SIDE_EFFECTS_BLOCK_4000000000 makes a list that long. The last one is there in any case.
  const first = Array.from({ length: Math.min(node.length, 100) }, (_, index) => index)
  return first.length < node.length ? [...first, node.length - 1] : first
}

/** A kill switch whose name is mistyped must not look as if it were thrown. */
const warnOfStrays = (head: string, arrays: ReadonlySet<string>) =>
  Effect.flatMap(ConfigProvider.ConfigProvider, (provider) => {
    // An environment is a tree, cut at "_", in which numbers make a list.
    const strays = (path: ConfigProvider.Path): Effect.Effect<ReadonlyArray<string>, ConfigProvider.SourceError> =>
      Effect.flatMap(provider.load(path), (node) => {
        const name = path.join("_")
        if (arrays.has(name)) return Effect.succeed([])
        const own = node?.value === undefined || names.includes(name) ? [] : [name]
        return Effect.map(
          Effect.forEach(below(node), (key) => strays([...path, key])),
          (found) => [...own, ...found.flat()]
        )
      })
    return Effect.flatMap(
      Effect.orElseSucceed(strays(["SIDE", "EFFECTS"]), () => []),
      (found) =>
        found.length === 0 ? Effect.void : Effect.logWarning(
          `${head}: ${found.join(", ")} ${
            found.length === 1 ? "is" : "are"
          } set, and nothing here reads that. After SIDE_EFFECTS_ comes one of ${known.join(", ")}.`
        )
    )
  })
