export * as SideEffectsMiddleware from "./SideEffectsMiddleware.ts"
