import { createRequire } from "node:module"
import { join } from "node:path"
import { brotliCompressSync } from "node:zlib"
import { root } from "../lib/project.ts"
import { bar, heading, number, table } from "../lib/report.ts"

interface Esbuild {
  readonly build: (options: {
    readonly stdin: { readonly contents: string; readonly resolveDir: string }
    readonly bundle: true
    readonly format: "esm"
    readonly minify: true
    readonly treeShaking: true
    readonly write: false
    readonly external?: ReadonlyArray<string>
    readonly logLevel: "error"
  }) => Promise<{ readonly outputFiles: ReadonlyArray<{ readonly contents: Uint8Array }> }>
}

// The one that size-limit uses.
const sizeLimit = createRequire(import.meta.url).resolve("@size-limit/esbuild")
const esbuild: Esbuild = createRequire(sizeLimit)("esbuild")

interface Size {
  readonly minified: number
  readonly brotli: number
}

const sizeOf = async (contents: string, external: ReadonlyArray<string> = []): Promise<Size> => {
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: join(root, "bench") },
    bundle: true,
    format: "esm",
    minify: true,
    treeShaking: true,
    write: false,
    external,
    logLevel: "error"
  })
  const code = outputFiles[0]!.contents
  return { minified: code.length, brotli: brotliCompressSync(code).length }
}

// A small program that has used layers, schemas and logging before.
const without = `
  import { Console, Context, Effect, Layer, Schema } from "effect"
  const Order = Schema.Struct({ orderId: Schema.String })
  class Mailer extends Context.Service()("Mailer") {}
  const MailerLive = Layer.succeed(Mailer, { send: (order) => Console.log(order.orderId) })
  const program = Effect.gen(function*() {
    const mailer = yield* Mailer
    yield* Effect.logInfo("ordered")
    yield* mailer.send(Order.make({ orderId: "1042" }))
  })
  Effect.runPromise(Effect.provide(program, MailerLive))
`

const used = ["Policy", "SideEffect", "SideEffectGroup", "SideEffects"]

// esbuild takes all of a namespace that comes out of a barrel, and of a module only what is used.
const imports = {
  barrel: `import { ${used.join(", ")} } from "effect-side-effects"`,
  modules: used.map((name) => `import * as ${name} from "effect-side-effects/${name}"`).join("\n")
}

const enqueueing = `
  class SendReceipt extends SideEffect.make("mail:receipt", {
    description: "Mail it.",
    payload: { orderId: Schema.String }
  }) {}
  const Orders = SideEffectGroup.make("orders").add(SendReceipt)
  const policy = Policy.block("mail:receipt")
  const Live = SideEffects.LiveLayer(Orders).pipe(Layer.provide(SendReceipt.toLayer(() => Effect.void)))
  Effect.runPromise(Effect.provide(
    SideEffects.boundary(SideEffects.enqueue(SendReceipt, { orderId: "1042" }), { policy }), Live))
`

const everything = `export { Policy, SideEffect, SideEffects } from "effect-side-effects"`

export const size = async (): Promise<void> => {
  heading(
    "Bundle size",
    "Bytes, by esbuild. The first line is without Effect; a delta is what a program grows by that uses Effect already."
  )
  const external = await sizeOf(everything, ["effect", "effect/*"])
  const base = await sizeOf(without)
  const delta = async (added: string): Promise<Size> => {
    const whole = await sizeOf(without + added)
    return { minified: whole.minified - base.minified, brotli: whole.brotli - base.brotli }
  }
  const row = (name: string, { brotli, minified }: Size, given = "") => [name, number(minified), number(brotli), given]
  table(["", "minified", "brotli", ""], [
    row(
      "{ SideEffects, SideEffect, Policy } alone",
      external,
      bar("bundle, minified and brotli", external.brotli / 1000, 6, " kB")
    ),
    row("an Effect program", base),
    row("delta: it enqueues, blocks, performs", await delta(imports.barrel + enqueueing)),
    row("delta: the same, importing modules", await delta(imports.modules + enqueueing)),
    row("delta: it exports all three", await delta(everything))
  ])
}
