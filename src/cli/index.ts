export * as Catalog from "./Catalog.ts"
export * as Outbox from "./Outbox.ts"
export * as SideEffectsCommand from "./SideEffectsCommand.ts"
