/** What the jobs of the queue do. It has always been there, and stays. */
import { setTimeout } from "node:timers/promises"
import { arrive } from "./world.ts"

export interface Receipt {
  readonly order: string
  readonly to: string
}

export interface Parcel {
  readonly order: string
  readonly sku: string
}

export const sendReceipt = async ({ order, to }: Receipt): Promise<void> => {
  await arrive(`receipt of ${order} to ${to}`)
  // The mail server takes its time to say that it has the mail.
  await setTimeout(40)
}

export const packParcel = async ({ order, sku }: Parcel): Promise<void> => {
  await arrive(`parcel of ${order} with ${sku}`)
  await setTimeout(40)
}
