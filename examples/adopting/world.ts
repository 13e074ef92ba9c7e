/** The world outside: five systems that an order service talks to. They are kept in memory, to see what arrives. */
import { setImmediate } from "node:timers/promises"

export const arrived: Array<string> = []

/** Systems that do not answer. */
export const down = new Set<string>()

const arrive = async (system: string, what: string) => {
  await setImmediate()
  if (down.has(system)) throw new Error(`${system} is down`)
  arrived.push(`${system}: ${what}`)
}

export const sendMail = (to: string, subject: string) => arrive("mail", `"${subject}" to ${to}`)

export const callWarehouse = (order: string, sku: string, quantity: number) =>
  arrive("warehouse", `ship ${quantity} ${sku} for order ${order}`)

export const updateCrm = (customer: string, spent: number) => arrive("crm", `${customer} spent ${spent}`)

export const indexOrder = (order: { readonly id: string; readonly customer: string }) =>
  arrive("search", `order ${order.id} of ${order.customer}`)

export const track = (event: string, properties: Readonly<Record<string, string | number>>) =>
  arrive("analytics", `${event} ${JSON.stringify(properties)}`)
