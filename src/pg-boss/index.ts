export * as PgBossSideEffects from "./PgBossSideEffects.ts"
