/**
 * An ESLint plugin.
 *
 * @since 0.1.0
 */
const plugin = { meta: { name: "effect-side-effects" }, rules: {} }
export default plugin
