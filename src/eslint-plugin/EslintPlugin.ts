/**
 * A plugin for ESLint 9 and later, and for `jsPlugins` of oxlint. Its rule `no-direct-side-effect` reports what leaves the
 * program without passing a boundary: the call of a client, or of a side effect's handler, outside a handler.
 *
 * @since 0.1.0
 */
import { defaultClients as clients, rule } from "./internal/rule.ts"

/**
 * The options of `no-direct-side-effect`.
 *
 * **Details**
 *
 * - `clients`: more patterns of clients that only handlers may call.
 * - `ignore`: patterns that are not reported, from `defaultClients`, too.
 * - `handlers`: globs of files in which everything is a handler, from the directory that is linted.
 * - `reads`: whether `fetch` is reported where it visibly only asks. `true` unless told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly clients?: ReadonlyArray<string> | undefined
  readonly ignore?: ReadonlyArray<string> | undefined
  readonly handlers?: ReadonlyArray<string> | undefined
  readonly reads?: boolean | undefined
}

/**
 * The patterns of clients that the rule knows without being told.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultClients: ReadonlyArray<string> = clients

/**
 * The name of the plugin, with which the names of its rules begin, and its version.
 *
 * @category constants
 * @since 0.1.0
 */
export const meta = { name: "effect-side-effects", version: "0.1.0" } as const

/**
 * The rules of the plugin.
 *
 * @category constants
 * @since 0.1.0
 */
export const rules = { "no-direct-side-effect": rule } as const

const base = { meta, rules }

/**
 * The configurations of the plugin. `recommended` makes its rule an error.
 *
 * **Example** (eslint.config.js)
 *
 * ```ts
 * import * as SideEffectsPlugin from "effect-side-effects/eslint-plugin"
 *
 * export default [
 *   { ...SideEffectsPlugin.configs.recommended, ignores: ["test/**"] }
 * ]
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const configs = {
  recommended: {
    name: "effect-side-effects/recommended",
    plugins: { "effect-side-effects": base },
    rules: { "effect-side-effects/no-direct-side-effect": "error" }
  }
} as const

const plugin = { ...base, configs }

/**
 * The plugin.
 *
 * @category plugin
 * @since 0.1.0
 */
export default plugin
