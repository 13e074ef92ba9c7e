/**
 * Side effects through cluster.
 *
 * @since 0.1.0
 */
export {}
