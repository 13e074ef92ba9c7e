// Run `npx eslint` in this directory. A project that writes types adds the parser of typescript-eslint to
// `languageOptions`.
import sideEffects from "effect-side-effects/eslint-plugin"

export default [
  {
    files: ["src/**/*.{js,ts}"],
    plugins: { "effect-side-effects": sideEffects },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "effect-side-effects/no-direct-side-effect": ["error", {
        clients: ["stripe.*.create"],
        handlers: ["src/clients/**"],
        reads: false
      }]
    }
  }
]
