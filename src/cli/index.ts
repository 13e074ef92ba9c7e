export * as Catalog from "./Catalog.ts"
