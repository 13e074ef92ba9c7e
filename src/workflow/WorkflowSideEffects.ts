/**
 * Side effects through workflow.
 *
 * @since 0.1.0
 */
export {}
