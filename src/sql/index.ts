export * as SqlOutboxStore from "./SqlOutboxStore.ts"
export * as SqlSideEffects from "./SqlSideEffects.ts"
