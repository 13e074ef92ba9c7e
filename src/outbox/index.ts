export * as MemoryOutboxStore from "./MemoryOutboxStore.ts"
export * as Outbox from "./Outbox.ts"
export * as OutboxStore from "./OutboxStore.ts"
