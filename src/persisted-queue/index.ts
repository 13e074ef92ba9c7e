export * as PersistedQueueSideEffects from "./PersistedQueueSideEffects.ts"
