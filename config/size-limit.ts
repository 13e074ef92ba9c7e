import type { SizeLimitConfig } from "size-limit"

// Minified and brotli, over what effect itself costs. The aim for all of it is 6 kB, and it is not reached: about 1 kB is
// the text of messages, 1.7 kB are events, 0.4 kB is what the outbox needs of the core, the rest is code. The edges of a
// program added 5 kB: ConfigLayer with all its settings (1.5), fromFunction (1.2), Policy.dynamic and check (0.3), and
// origins, traces, instruments and what is deferred (2). The limits are what is reached, so that it cannot grow unseen.
export default [
  {
    name: "{ SideEffects, SideEffect, Policy }, all of it",
    path: "../dist/index.js",
    import: "{ SideEffects, SideEffect, Policy }",
    ignore: ["effect"],
    limit: "18.1 kB",
    // As a script of its own, the bundle would begin with 250 bytes that stand in for `require`.
    modifyEsbuildConfig: (config) => Object.assign(config!, { format: "esm" })
  },
  {
    name: "what domain code needs: { enqueue, boundary } of SideEffects",
    path: "../dist/SideEffects.js",
    import: "{ enqueue, boundary }",
    ignore: ["effect"],
    limit: "300 B",
    modifyEsbuildConfig: (config) => Object.assign(config!, { format: "esm" })
  }
] satisfies SizeLimitConfig
