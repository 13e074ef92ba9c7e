/**
 * Side effects through pg-boss.
 *
 * @since 0.1.0
 */
export {}
