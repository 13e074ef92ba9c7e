/** What a library would export that is built on this one: its declarations have to name what they are made of. */
import { SideEffects } from "effect-side-effects"
import * as Effect from "effect/Effect"
import { OrderPlaced, Orders, SendConfirmation } from "./main.js"

export const Handlers = Orders.toLayer({ "orders:send-confirmation": () => Effect.void })

export const confirm = (orderId: string) => SideEffects.enqueue(SendConfirmation, { orderId })

export const place = (id: string) => SideEffects.emit(OrderPlaced, { id })
