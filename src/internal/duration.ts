import * as Duration from "effect/Duration"
import * as Formatter from "effect/Formatter"

/** A duration somebody has given as an option. `what` says whose option it is. Throws where it is none. */
export const durationOf = (what: string, option: string, input: Duration.Input): Duration.Duration => {
  const duration = Duration.fromInput(input)
  if (duration._tag === "Some") return duration.value
  throw new Error(`${what} was given ${option}: ${Formatter.format(input)}. It takes a duration, such as "10 seconds".`)
}

/** As `durationOf`, in milliseconds. */
export const millisOf = (what: string, option: string, input: Duration.Input): number =>
  Duration.toMillis(durationOf(what, option, input))
