/**
 * Side effects through bullmq.
 *
 * @since 0.1.0
 */
export {}
