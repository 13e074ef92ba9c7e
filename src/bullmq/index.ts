export * as BullMqSideEffects from "./BullMqSideEffects.ts"
