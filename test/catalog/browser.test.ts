import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { html } from "../../src/catalog/internal/html.ts"
import { big, empty, shop, tips } from "./fixtures.ts"

const executablePath = process.env["CHROMIUM"]

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

const title = executablePath === undefined
  ? "the page in a browser (skipped: set CHROMIUM to the path of a Chromium)"
  : "the page in a browser"

describe.skipIf(executablePath === undefined)(title, () => {
  let browser: Browser
  let directory: string

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "catalog-"))
    writeFileSync(join(directory, "shop.html"), html(shop))
    writeFileSync(join(directory, "tips.html"), html(tips))
    writeFileSync(join(directory, "empty.html"), html(empty))
    writeFileSync(join(directory, "big.html"), html(big(1000)))
    browser = await chromium.launch({ executablePath: executablePath!, args })
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    rmSync(directory, { recursive: true })
  })

  /** Opens a page, and sees to it that it asks for nothing but itself and has nothing to complain about. */
  const on =
    (file: string, hash: string, options: BrowserContextOptions, body: (page: Page) => Promise<void>) => async () => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, offline: true, ...options })
      const url = `${pathToFileURL(join(directory, `${file}.html`))}`
      const problems: Array<string> = []
      await context.route((to) => to.protocol !== "data:" && to.href.split("#")[0] !== url, (route) => route.abort())
      const page = await context.newPage()
      page.on("request", (request) => {
        if (request.url().split("#")[0] !== url && !request.url().startsWith("data:")) problems.push(request.url())
      })
      page.on("console", (message) => problems.push(message.text()))
      page.on("pageerror", (error) => problems.push(String(error)))
      try {
        await page.goto(url + hash)
        await body(page)
        assert.deepStrictEqual(problems, [])
      } finally {
        await context.close()
      }
    }

  const row = (page: Page, name: string) => page.locator(".row", { has: page.locator(`.node[title="${name}"]`) })
  const node = (page: Page, name: string) => page.locator(`.node[title="${name}"]`)
  const texts = (page: Page, selector: string) =>
    page.locator(selector).evaluateAll((all) => all.map((each) => each.getAttribute("title")))
  const shown = async (page: Page) => (await texts(page, ".row:not([hidden]) .node")).sort()
  const hash = (page: Page) => page.evaluate(() => decodeURIComponent(location.hash))
  const heading = (page: Page) => page.locator("#details h2").textContent()

  /** The lit arrows, as names. */
  const lit = (page: Page) =>
    page.evaluate(() => {
      const name = (key: string | undefined) => document.querySelector<HTMLElement>(`[data-key=${key}] .node`)!.title
      return [...document.querySelectorAll<SVGElement>("svg .on path")].map((path) =>
        `${name(path.dataset["from"])} > ${name(path.dataset["to"])}`
      )
    })

  const placed = [
    "orders:order:placed > orders:warehouse:reserve",
    "orders:order:placed > orders:mail:send-confirmation",
    "orders:order:placed > orders:sales:announce-big-order",
    "orders:order:placed > orders:crm:update"
  ]

  it(
    "draws each arrow from the middle of its event to the middle of its side effect, before and after a search",
    on("shop", "", {}, async (page) => {
      const off = () =>
        page.evaluate(() => {
          const middle = (key: string | undefined) => {
            const { bottom, top } = document.querySelector(`[data-key=${key}] .node`)!.getBoundingClientRect()
            return (top + bottom) / 2
          }
          return [...document.querySelectorAll<SVGPathElement>("svg path:not([d=''])")].map((path) => {
            const { bottom, top } = path.getBoundingClientRect()
            const ends = [middle(path.dataset["from"]), middle(path.dataset["to"])].sort((a, b) => a - b)
            return Math.max(Math.abs(top - ends[0]!), Math.abs(bottom - ends[1]!))
          })
        })
      const all = await off()
      assert.strictEqual(all.length, 17)
      assert.isBelow(Math.max(...all), 2)
      await page.fill("#search", "crm")
      const some = await off()
      assert.strictEqual(some.length, 4)
      assert.isBelow(Math.max(...some), 2)
    })
  )

  it(
    "what is drawn in advance is what the script draws",
    on("shop", "", {}, async (page) => {
      const drawn = await page.locator("svg path").evaluateAll((all) => all.map((path) => path.getAttribute("d")))
      assert.deepStrictEqual(drawn, [...html(shop).matchAll(/ d="([^"]*)"/g)].map((match) => match[1]!))
    })
  )

  it(
    "search filters, counts, tells what to do when nothing matches, and is in the address",
    on("shop", "", {}, async (page) => {
      await page.keyboard.press("/")
      await page.keyboard.type("team-payments capture")
      assert.strictEqual(await page.locator("#count").textContent(), "1 side effect matches")
      assert.deepStrictEqual(await shown(page), ["orders:order:paid", "payments:bank:capture"])
      assert.strictEqual(await hash(page), "#?q=team-payments capture")
      await page.fill("#search", "PII")
      assert.strictEqual(await page.locator("#count").textContent(), "1 event and 2 side effects match")
      await page.fill("#search", "no such thing")
      assert.deepStrictEqual(await shown(page), [])
      assert.strictEqual(await page.locator("#count").textContent(), "nothing matches")
      assert.match((await page.locator("#none").textContent())!, /Try a part of a name/)
      await page.click("#clear")
      assert.strictEqual((await shown(page)).length, 22)
      assert.strictEqual(await hash(page), "")
    })
  )

  it(
    "a link selects and searches",
    on("shop", "#payments:bank:refund?q=refund", {}, async (page) => {
      assert.strictEqual(await heading(page), "payments:bank:refund")
      assert.strictEqual(await page.inputValue("#search"), "refund")
      assert.deepStrictEqual(await lit(page), ["orders:order:cancelled > payments:bank:refund"])
      await page.evaluate(() => void (location.hash = "#orders:order:placed"))
      await page.waitForFunction(() => document.querySelector("#details h2")?.textContent === "orders:order:placed")
      assert.strictEqual((await shown(page)).length, 22)
    })
  )

  it(
    "a click lights exactly the arrows of an entry, and Escape puts them out",
    on("shop", "", {}, async (page) => {
      await node(page, "orders:order:placed").click()
      await page.mouse.move(640, 790)
      assert.deepStrictEqual(await lit(page), placed)
      assert.strictEqual(await page.locator(".row.on").count(), 5)
      assert.strictEqual(await node(page, "orders:warehouse:reserve").getAttribute("data-order"), "1")
      assert.strictEqual(await hash(page), "#orders:order:placed")
      assert.strictEqual(await heading(page), "orders:order:placed")
      await page.locator("#details .link", { hasText: "orders:crm:update" }).click()
      assert.strictEqual((await lit(page)).length, 4)
      assert.match((await page.locator("#details").textContent())!, /importLegacyOrders/)
      await page.goBack()
      assert.strictEqual(await heading(page), "orders:order:placed")
      await page.keyboard.press("Escape")
      assert.deepStrictEqual(await lit(page), [])
      assert.strictEqual(await page.locator(".picture.focus").count(), 0)
      assert.strictEqual(await hash(page), "")
    })
  )

  it(
    "the details tell what bindings enqueue with",
    on("tips", "#accounts:account:opened", {}, async (page) => {
      const small = page.locator("#details .steps small:last-child")
      assert.deepStrictEqual(await small.allTextContents(), [
        "src/accounts/bindings.ts:10",
        "after 1d, queue slow · src/accounts/bindings.ts:11",
        "options computed for each event · src/accounts/bindings.ts:12",
        "key <k>, priority 3 · src/accounts/bindings.ts:13"
      ])
      await page.locator("#details .link", { hasText: "accounts:mail:send" }).first().click()
      assert.include((await small.allTextContents()).join(), "after 1d, queue slow")
    })
  )

  it(
    "hovering lights what is under the mouse, and gives way to the selection",
    on("shop", "#orders:order:placed", {}, async (page) => {
      await node(page, "payments:charge:failed").hover()
      assert.deepStrictEqual(await lit(page), ["payments:charge:failed > payments:mail:ask-for-another-card"])
      await page.mouse.move(1200, 790)
      assert.deepStrictEqual(await lit(page), placed)
    })
  )

  it(
    "the keyboard does it all",
    on("shop", "", {}, async (page) => {
      await node(page, "orders:order:placed").focus()
      await page.keyboard.press("ArrowDown")
      await page.keyboard.press("ArrowRight")
      assert.strictEqual(await page.evaluate(() => (document.activeElement as HTMLElement).title), "orders:crm:update")
      assert.strictEqual((await lit(page)).length, 4)
      await page.keyboard.press("Enter")
      assert.strictEqual(await heading(page), "orders:crm:update")
      assert.strictEqual(await node(page, "orders:crm:update").getAttribute("aria-current"), "true")
      assert.strictEqual(await page.evaluate(() => document.activeElement?.id), "title")
      await page.keyboard.press("Escape")
      assert.strictEqual(await page.evaluate(() => (document.activeElement as HTMLElement).title), "orders:crm:update")
      assert.strictEqual(await page.locator("[aria-current]").count(), 0)
    })
  )

  it(
    "shows text as text",
    on("shop", "#orders:sales:announce-big-order", {}, async (page) => {
      assert.match((await page.locator("#details").textContent())!, /<script>alert\("big"\)<\/script> & co\./)
      assert.strictEqual(await page.locator("#details script, #details b:not(.fields b)").count(), 0)
    })
  )

  it(
    "a narrow one has cards instead of the picture, and nothing sticks out",
    on("shop", "", { viewport: { width: 360, height: 740 } }, async (page) => {
      assert.isFalse(await page.locator("svg").isVisible())
      assert.isFalse(await row(page, "orders:crm:update").isVisible())
      assert.isTrue(await row(page, "accounts:search:reindex").isVisible())
      assert.deepStrictEqual(
        await row(page, "orders:order:placed").locator(".to").allTextContents(),
        placed.map((arrow) => arrow.split(" > ")[1]!)
      )
      await row(page, "orders:order:placed").locator(".to").first().click()
      assert.strictEqual(await heading(page), "orders:warehouse:reserve")
      assert.isAtMost(await page.evaluate(() => document.documentElement.scrollWidth), 360)
    })
  )

  it("is dark where people like it dark", async () => {
    const grounds: Array<string> = []
    for (const colorScheme of ["light", "dark"] as const) {
      await on("shop", "", { colorScheme }, async (page) => {
        grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor))
      })()
    }
    assert.deepStrictEqual(grounds, ["rgb(248, 248, 247)", "rgb(20, 22, 25)"])
  })

  it(
    "an empty one says so",
    on("empty", "", {}, async (page) => {
      assert.isTrue(await page.getByText("Nothing here yet").isVisible())
    })
  )

  it(
    "a big one searches, selects, and shows only what is connected",
    on("big", "#payments:thing-3:happened-114", {}, async (page) => {
      assert.isTrue(await node(page, "payments:thing-3:happened-114").isVisible())
      assert.strictEqual((await lit(page)).length, 3)
      await page.click("#details .plain")
      assert.strictEqual((await shown(page)).length, 4)
      await page.click("#details .plain")
      assert.strictEqual((await shown(page)).length, 2000)
      await page.fill("#search", "happened-999")
      assert.strictEqual(await page.locator("#count").textContent(), "1 event matches")
    })
  )
})
