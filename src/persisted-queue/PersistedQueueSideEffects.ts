/**
 * Side effects through persisted-queue.
 *
 * @since 0.1.0
 */
export {}
