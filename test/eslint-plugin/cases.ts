import type { Options } from "effect-side-effects/eslint-plugin"

/** A program, and what the rule says about it: the text of each reported call, or nothing where it is fine. */
export interface Case {
  readonly name: string
  readonly code: string
  readonly options?: Options
  readonly errors?: ReadonlyArray<string>
  /** For the linter that parses TypeScript. */
  readonly isTypeScript?: boolean
}

const wrong = (name: string, code: string, ...errors: ReadonlyArray<string>): Case => ({ name, code, errors })
const fine = (name: string, code: string): Case => ({ name, code })
const typed = (it: Case): Case => ({ ...it, isTypeScript: true })
const given = (options: Options, it: Case): Case => ({ ...it, options })

const http = "import { HttpClient, HttpClientRequest } from \"effect/http\"\n"
const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index + 1)).join("\n")
const forty = (line: (n: number) => string) => lines(40, line)
const post = "{ method: \"POST\" }"

/** What is reported whether or not `fetch` may ask. */
const fetches: ReadonlyArray<Case> = [
  wrong("fetch that posts", `await fetch(url, ${post})`, "fetch"),
  wrong("fetch with options that it does not see", "fetch(url, init)", "fetch"),
  wrong("fetch with options that are spread", "fetch(url, { ...init, method: \"GET\" })", "fetch"),
  wrong("fetch with a method that it does not see", "fetch(url, { method })", "fetch"),
  wrong("fetch of a Request that posts", `const it = new Request(url, ${post})\nfetch(it)`, "fetch"),
  wrong("fetch of a request that comes from elsewhere", "const send = (request) => fetch(request)", "fetch"),
  wrong("fetch with options from above", `const init = ${post}\nfetch(url, init)`, "fetch"),
  wrong("fetch, spread", "fetch(...args)", "fetch"),
  wrong("fetch of an object", `globalThis.fetch(url, ${post})`, "globalThis.fetch"),
  wrong("fetch of a window", `window["fetch"](url, ${post})`, "window[\"fetch\"]"),
  wrong("fetch by another name", `const f = fetch\nf(url, ${post})`, "f"),
  wrong("fetch taken out", `const { fetch: f } = globalThis\nf(url, ${post})`, "f"),
  wrong("fetch that is imported", `import { fetch as f } from "undici"\nf(url, ${post})`, "f"),
  wrong("fetch that is taken out of a require", `const { fetch } = require("undici")\nfetch(url, ${post})`, "fetch"),
  wrong(
    "fetch that is taken out of an import()",
    `const { fetch: f } = await import("undici")\nf(url, ${post})`,
    "f"
  ),
  wrong("fetch of a namespace", `import * as u from "undici"\nu.fetch(url, ${post})`, "u.fetch"),
  wrong(
    "fetch of an import()",
    `(await import("undici")).fetch(url, ${post})`,
    "(await import(\"undici\")).fetch"
  ),
  wrong("fetch of a require", `require("undici").fetch(url, ${post})`, "require(\"undici\").fetch"),
  wrong("fetch of what was required", `const u = require("undici")\nu.fetch(url, ${post})`, "u.fetch"),
  wrong("fetch that is what was required", `const fetch = require("node-fetch")\nfetch(url, ${post})`, "fetch"),
  wrong(
    "fetch that is the default of an import()",
    `const { default: fetch } = await import("node-fetch")\nfetch(url, ${post})`,
    "fetch"
  ),
  wrong(
    "fetch that is taken out of a module of the program",
    `const { fetch: f } = await import("./http.js")\nf(url, ${post})`,
    "f"
  ),
  wrong("fetch as a default", `import fetch from "node-fetch"\nfetch(url, ${post})`, "fetch"),
  wrong("fetch with call", `fetch.call(null, url, ${post})`, "fetch"),
  wrong("fetch that might be there", `fetch?.(url, ${post})`, "fetch"),
  wrong("fetch in a promise", `Effect.tryPromise(() => fetch(url, ${post}))`, "fetch"),
  wrong("fetch given away", "urls.map(fetch)", "fetch")
]

export const cases: ReadonlyArray<Case> = [
  // fetch
  ...fetches,
  wrong("fetch that asks", "await fetch(url)", "fetch"),
  given({ reads: false }, fine("fetch that asks, without reads", "await fetch(url)")),
  given({ reads: false }, fine("fetch that says that it asks", "fetch(url, { method: \"get\", headers })")),
  given(
    { reads: false },
    fine("fetch that says nothing of a method", "fetch(url, { headers }); fetch(url, undefined)")
  ),
  given({ reads: false }, fine("fetch of a Request that asks", "fetch(new Request(url))")),
  ...fetches.map((one) => given({ reads: false }, { ...one, name: `${one.name}, without reads` })),
  fine("fetch of this file", `const fetch = (url, init) => cache.get(url)\nfetch(url, ${post})`),
  fine("fetch that is declared here", `fetch(url, ${post})\nfunction fetch() {}`),
  fine("fetch that is given", `const load = (fetch) => fetch(url, ${post})`),
  fine("fetch that is given in options", `const load = ({ fetch }) => fetch(url, ${post})`),
  fine("fetch of something else", `repository.fetch(id, ${post})`),
  fine(
    "fetch of something else that is imported",
    `import repository from "repository"
    import { orders } from "orders"
    repository.fetch(id, ${post}); orders.fetch(id); new repository().fetch(id)`
  ),
  fine(
    "fetch of something else that a package makes",
    `const Repository = require("repository")
    const it = new Repository()
    it.fetch(id, ${post}); Repository().fetch(id); Repository.orders.fetch(id)
    const { fetch } = new Repository()
    fetch(id)`
  ),
  fine(
    "fetch of a module of the program",
    `import * as repository from "./repository.js"
    import * as users from "@/users"
    import * as carts from "#carts"
    const orders = require("./orders.js")
    repository.fetch(id, ${post}); users.fetch(id); carts.fetch(id); orders.fetch(id)
    (await import("~/users.js")).fetch(id)`
  ),
  fine("fetch that is passed on", "const Live = Layer.succeed(FetchHttpClient.Fetch, fetch)"),

  // HttpClient
  wrong("HttpClient.post", `${http}yield_(HttpClient.post(url))`, "HttpClient.post"),
  wrong(
    "HttpClient.put, patch, del",
    `${http}HttpClient.put(a); HttpClient.patch(b); HttpClient.del(c)`,
    "HttpClient.put",
    "HttpClient.patch",
    "HttpClient.del"
  ),
  wrong("HttpClient.execute", `${http}HttpClient.execute(request)`, "HttpClient.execute"),
  wrong("HttpClient by another name", "import { HttpClient as H } from \"effect/http\"\nH.post(url)", "H.post"),
  wrong("HttpClient as a module", "import * as H from \"effect/http/HttpClient\"\nH.post(url)", "H.post"),
  wrong(
    "the service HttpClient",
    `${http}Effect.gen(function*() { const client = yield* HttpClient.HttpClient; yield* client.post(url) })`,
    "client.post"
  ),
  wrong(
    "the service HttpClient, piped",
    `${http}Effect.gen(function*() {
      const client = (yield* HttpClient.HttpClient).pipe(HttpClient.filterStatusOk)
      yield* client.execute(request)
    })`,
    "client.execute"
  ),
  wrong(
    "the service HttpClient in callbacks",
    `${http}Effect.flatMap(HttpClient.HttpClient, (client) => client.post(a))
    HttpClient.HttpClient.pipe(Effect.flatMap((client) => client.post(b)))
    HttpClient.HttpClient.use((client) => client.post(c))`,
    "client.post",
    "client.post",
    "client.post"
  ),
  wrong(
    "execute in a pipe",
    `${http}const send = Effect.flatMap(HttpClient.HttpClient, (client) =>
      HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJson(it), Effect.flatMap(client.execute)))`,
    "client.execute"
  ),
  wrong(
    "the service HttpClient in a pipe",
    `${http}Effect.gen(function*() {
      const client = pipe(yield* HttpClient.HttpClient, HttpClient.filterStatusOk)
      yield* client.post(url)
    })`,
    "client.post"
  ),
  fine("execute of what asks, in pipe()", `${http}pipe(HttpClientRequest.get(url), HttpClient.execute)`),
  fine("HttpClient that asks", `${http}HttpClient.get(url); HttpClient.head(url)`),
  fine("HttpClient that executes what asks", `${http}HttpClient.execute(HttpClientRequest.get(url))`),
  fine(
    "execute of what asks, in a pipe",
    `${http}Effect.flatMap(HttpClient.HttpClient, (client) => HttpClientRequest.get(url).pipe(client.execute))
    Effect.flatMap(HttpClient.HttpClient, (client) =>
      HttpClientRequest.get(url).pipe(HttpClientRequest.acceptJson, client.execute))`
  ),
  fine("requests that are only made", `${http}HttpClientRequest.post(url)`),
  fine("routes", "import { HttpRouter } from \"effect/http\"\nHttpRouter.post(path, handler)"),
  fine("an object of this file called HttpClient", "const HttpClient = { post: () => 1 }\nHttpClient.post()"),

  // axios
  wrong(
    "axios",
    "import axios from \"axios\"\naxios.post(u); axios.put(u); axios.patch(u); axios.delete(u)",
    "axios.post",
    "axios.put",
    "axios.patch",
    "axios.delete"
  ),
  wrong("axios by another name", "import http from \"axios\"\nhttp.post(url)", "http.post"),
  wrong("axios with require", "const http = require(\"axios\")\nhttp.post(url)", "http.post"),
  wrong("axios with import()", "const http = await import(\"axios\")\nhttp.post(url)", "http.post"),
  wrong(
    "an axios that is made",
    "import axios from \"axios\"\nconst api = axios.create({})\napi.post(url)",
    "api.post"
  ),
  wrong("an axios of an object", "this.axios.post(url)", "this.axios.post"),
  wrong(
    "an axios that a function of this file makes",
    "import axios from \"axios\"\nconst make = () => axios.create()\nmake().post(url)",
    "make().post"
  ),
  fine("a function of this file called axios", "function axios() {}\naxios.post = () => 1\naxios.post(url)"),
  fine("axios that asks", "import axios from \"axios\"\naxios.get(url); axios.create().get(url)"),

  // *.sendMail
  wrong(
    "nodemailer",
    "import nodemailer from \"nodemailer\"\nconst t = nodemailer.createTransport(it)\nawait t.sendMail(mail)",
    "t.sendMail"
  ),
  wrong("nodemailer at once", "createTransport(it).sendMail(mail)", "createTransport(it).sendMail"),
  wrong("sendMail by another name", "const { sendMail: send } = createTransport(it)\nsend(mail)", "send"),
  wrong("sendMail that is given", "const order = (transport) => transport.sendMail(mail)", "transport.sendMail"),
  wrong(
    "sendMail by another name, of a package",
    "import { createTransport } from \"nodemailer\"\nconst { sendMail: send } = createTransport(it)\nsend(mail)",
    "send"
  ),
  wrong(
    "sendMail of a service",
    "Effect.gen(function*() { yield* (yield* Mailer).sendMail(mail) })",
    "(yield* Mailer).sendMail"
  ),
  wrong(
    "sendMail of a service whose class is here",
    "class Mailer extends Context.Service()(\"Mailer\") {}\nEffect.gen(function*() { const it = yield* Mailer; it.sendMail() })",
    "it.sendMail"
  ),
  wrong(
    "sendMail of an object of clients",
    "const clients = { mail: createTransport() }\nclients.mail.sendMail()",
    "clients.mail.sendMail"
  ),
  wrong("sendMail, computed", "transport[`sendMail`](mail)", "transport[`sendMail`]"),
  wrong("sendMail of what might be there", "transport?.sendMail?.(mail)", "transport?.sendMail"),
  wrong("sendMail of one or the other", "(own ?? shared).sendMail(mail)", "(own ?? shared).sendMail"),
  wrong("sendMail of a new one", "import { Mailer } from \"m\"\nnew Mailer().sendMail(mail)", "new Mailer().sendMail"),
  wrong(
    "sendMail of a member",
    "class A { constructor(t) { this.t = t }\n  run() { this.t.sendMail(mail) } }",
    "this.t.sendMail"
  ),
  wrong("sendMail that is inherited", "class A extends B { run() { this.sendMail(mail) } }", "this.sendMail"),
  wrong("sendMail given away", "mails.forEach(transport.sendMail)", "transport.sendMail"),
  wrong(
    "sendMail of what a function of this file returns",
    "const make = () => { const a = 1; return { mail: createTransport(a) } }\nmake().mail.sendMail()",
    "make().mail.sendMail"
  ),
  wrong(
    "sendMail of something that a function of this file makes",
    "const make = () => t()\nmake().sendMail()",
    "make().sendMail"
  ),
  fine("sendMail that is only taken", "const send = transport.sendMail"),
  fine("sendMail that stands alone", "sendMail(mail)"),
  fine("sendMail of a fake", "const transport = { sendMail: (mail) => sent.push(mail) }\ntransport.sendMail(mail)"),
  fine("sendMail that is given alone", "const order = ({ sendMail }) => sendMail(mail)"),
  fine(
    "sendMail that is taken from the program",
    "import { old } from \"./old.js\"\nconst { sendMail } = old()\nsendMail(mail)\nconst { sendMail: a } = require(\"#old\")\na()"
  ),
  given(
    { clients: ["Mailer.sendMail"] },
    wrong(
      "a member that is taken from a service that the options name",
      "import { Mailer } from \"./mailer.js\"\nEffect.gen(function*() { const { sendMail } = yield* Mailer; yield* sendMail() })",
      "sendMail"
    )
  ),
  fine(
    "sendMail that a function of this file makes",
    "const make = () => ({ sendMail: () => {} })\nmake().sendMail()\nconst { sendMail } = make()\nsendMail()"
  ),
  fine(
    "the drop-in that stands for an old function",
    "const mails = { sendMail: SideEffect.fromFunction(\"a:b\", old).call }\nmails.sendMail()"
  ),
  fine("sendMail of this class", "class A { sendMail() {} run() { this.sendMail(mail) } }\nnew A().sendMail()"),
  fine("a member that it cannot read", "transport[name](mail)"),

  wrong(
    "sendMail of what a getter gives",
    "class A { get t() { return t() } run() { this.t.sendMail() } }",
    "this.t.sendMail"
  ),
  wrong("names that lead back to themselves", "const a = b.c\nconst b = a.c\na.sendMail()", "a.sendMail"),
  wrong(
    "sendMail beside a static block",
    "class A { static { x = 1 } run() { this.close(); this.t.sendMail() } }",
    "this.t.sendMail"
  ),
  fine(
    "a member of this class beside a static block",
    "class A { static { this.x = this.y() } sendMail() {} run() { this.sendMail() } }"
  ),
  wrong(
    "a name that two ways lead to, forty times",
    `const a0 = fetch\n${forty((n) => `const a${n} = c ? a${n - 1} : a${n - 1}`)}\na40(url)`,
    "a40"
  ),
  wrong(
    "a name that two different ways lead to, forty times",
    `${forty((n) => `const a${n} = c ? a${n - 1}.x : a${n - 1}.y`)}\na40.sendMail()`,
    "a40.sendMail"
  ),
  wrong(
    "a name that leads on three thousand times",
    `${lines(3000, (n) => `const a${n} = a${n - 1}`)}\na3000.post()\nt.sendMail()`,
    "t.sendMail"
  ),
  wrong(
    "sendMail with a default",
    "import { createTransport } from \"nodemailer\"\nconst { sendMail: send = no } = createTransport(it)\nsend(mail)",
    "send"
  ),
  fine("sendMail that a declared function makes", "function make() { return { sendMail() {} } }\nmake().sendMail()"),

  // queues
  wrong("a queue", "queue.add(\"mail\", it)", "queue.add"),
  wrong(
    "a queue with a name",
    "this.mailQueue.add(\"mail\", it); mailQueue.addBulk(all)",
    "this.mailQueue.add",
    "mailQueue.addBulk"
  ),
  wrong(
    "a queue of BullMQ",
    "import { Queue } from \"bullmq\"\nconst jobs = new Queue(\"mail\")\njobs.add(\"a\", it)",
    "jobs.add"
  ),
  wrong(
    "a queue that a member holds",
    "import { Queue } from \"bullmq\"\nclass A { jobs = new Queue(); run() { this.jobs.add() } }",
    "this.jobs.add"
  ),
  fine("a set", "const seen = new Set()\nseen.add(1)"),
  fine("a set called queue", "const queue = new Set([1])\nqueue.add(2)"),
  fine("a set called queue in a class", "class A { queue = new Set(); run() { this.queue.add(1) } }"),
  fine(
    "a set called queue that the constructor makes",
    "class A { constructor() { this.queue = new Set() } run() { this.queue.add(1) } }"
  ),
  wrong(
    "another this",
    "class A { queue = new Set(); run() { return function() { this.queue.add(1) } } }",
    "this.queue.add"
  ),
  fine("the same this", "class A { queue = new Set(); run() { return () => this.queue.add(1) } }"),
  fine("a queue of functions", "queue.add(() => work())"),
  fine("a group", "const Orders = SideEffectGroup.make(\"orders\").add(SendMail)"),
  fine("a queue of this file", "class Queue { add() {} }\nconst queue = new Queue()\nqueue.add(1)"),
  fine("the queue of effect", "import { Queue } from \"effect\"\nQueue.offer(queue, 1)"),

  wrong("a set that was passed in without a type", "const visit = (queue) => queue.add(1)", "queue.add"),

  // what calls the functions it is given
  wrong(
    "functions that call what they are given",
    "it.pipe(t.sendMail); pipe(it, t.sendMail); flow(make, t.sendMail); all.map(t.sendMail); all.forEach(t.sendMail)",
    ...Array.from({ length: 5 }, () => "t.sendMail")
  ),
  wrong(
    "functions of effect that call what they are given",
    "Effect.flatMap(it, t.sendMail); Effect.tap(t.sendMail); Effect.andThen(t.sendMail); it.then(t.sendMail)",
    ...Array.from({ length: 4 }, () => "t.sendMail")
  ),
  fine("a fake that is given away", "const t = { sendMail: () => 1 }\nall.forEach(t.sendMail)"),

  // handlers
  fine("a handler", "SendMail.toLayer(({ to }) => Effect.promise(() => transport.sendMail({ to })))"),
  fine("a handler of Effect.fn", "SendMail.toLayer(Effect.fn(\"mail\")(function*() { yield* api.sendMail() }))"),
  fine("a handler of Effect.fnUntraced", "SendMail.toLayer(Effect.fnUntraced(function*() { yield* api.sendMail() }))"),
  fine(
    "a handler of Effect.gen",
    "SendMail.toLayer(Effect.gen(function*() { const t = yield* T; return () => Effect.promise(() => t.sendMail()) }))"
  ),
  fine("a handler that is a client", "SendMail.toLayer(transport.sendMail)"),
  fine(
    "the handlers of a group",
    "Orders.toLayer({ \"a:b\": () => t.sendMail(), \"a:c\": C.handler(() => t.sendMail()) })"
  ),
  fine(
    "handlers that are made when the layer is built",
    "Orders.toLayer(Effect.map(T, (t) => ({ \"a:b\": () => t.sendMail() })))"
  ),
  fine("what happens when it is exhausted", `SendMail.toLayer(send, { onExhausted: () => fetch(url, ${post}) })`),
  fine("a handler with options", "const it = SendMail.handler(() => t.sendMail(), { timeout: \"1 second\" })"),
  fine("a handler by name", "const send = () => t.sendMail()\nSendMail.toLayer(send)"),
  fine("a handler by name that is declared later", "SendMail.toLayer(send)\nfunction send() { t.sendMail() }"),
  fine("a handler by name that others may import", "export const send = () => t.sendMail()\nSendMail.toLayer(send)"),
  fine(
    "a handler by name, of Effect.fn",
    "const send = Effect.fn(\"x\")(function*() { yield* t.sendMail() })\nSendMail.toLayer(send, { timeout: 1 })"
  ),
  fine("a handler in a group by name", "const send = () => t.sendMail()\nOrders.toLayer({ \"a:b\": send })"),
  fine("handlers by name", "const handlers = { \"a:b\": () => t.sendMail() }\nOrders.toLayer(handlers)"),
  fine("a maker of handlers by name", "const make = (t) => () => t.sendMail()\nSendMail.toLayer(make(transport))"),
  fine(
    "helpers of handlers",
    "const one = () => t.sendMail()\nfunction two() { return one() }\nSendMail.toLayer(() => two())\nPing.toLayer(() => one())"
  ),
  fine(
    "helpers of handlers that call each other",
    "const a = (n) => n ? b(n) : t.sendMail()\nconst b = (n) => a(n - 1)\nSendMail.toLayer(() => a(3))"
  ),
  fine(
    "fromFunction",
    "import { SideEffect } from \"effect-side-effects\"\nSideEffect.fromFunction(\"a:b\", async () => { await t.sendMail() })"
  ),
  fine(
    "fromFunction by name",
    "import { fromFunction } from \"effect-side-effects/SideEffect\"\nconst send = () => t.sendMail()\nfromFunction(\"a:b\", send)"
  ),
  fine(
    "a side effect with a small name",
    "const mail = SideEffect.make(\"a:b\", {})\nmail.handler(() => t.sendMail())"
  ),
  wrong(
    "a helper that somebody else calls, too",
    "const one = () => t.sendMail()\nSendMail.toLayer(() => one())\none()",
    "t.sendMail"
  ),
  wrong(
    "a helper that others may import",
    "export const one = () => t.sendMail()\nSendMail.toLayer(() => one())",
    "t.sendMail"
  ),
  wrong(
    "a helper that is exported later",
    "const one = () => t.sendMail()\nSendMail.toLayer(() => one())\nexport { one }",
    "t.sendMail"
  ),
  wrong("a function that only calls itself", "const one = () => one(t.sendMail())", "t.sendMail"),
  wrong("a function that nobody calls", "const one = () => t.sendMail()", "t.sendMail"),
  wrong(
    "what happens before there is a handler",
    `const token = await fetch(url, ${post})\nSendMail.toLayer(() => use(token))`,
    "fetch"
  ),
  wrong("what only looks like fromFunction", "Stream.fromFunction(\"a\", () => t.sendMail())", "t.sendMail"),
  wrong("the handlers of somebody else", "createServerFn().handler(() => t.sendMail())", "t.sendMail"),
  wrong("the handlers of somebody else, by name", "app.handler(() => t.sendMail())", "t.sendMail"),
  wrong(
    "the handlers of an RpcGroup",
    "const Users = RpcGroup.make(A)\nUsers.toLayer({ a: () => t.sendMail() })",
    "t.sendMail"
  ),
  wrong(
    "the handlers of an RpcGroup that is a class",
    "class Users extends RpcGroup.make(A) {}\nUsers.toLayer({ a: () => t.sendMail() })",
    "t.sendMail"
  ),

  ...["Entity", "Workflow", "Toolkit"].map((it) =>
    wrong(`the handlers of ${it}`, `const x = ${it}.make("x")\nx.toLayer(() => t.sendMail())`, "t.sendMail")
  ),

  // handlers that are called
  wrong("a handler by name is called", "const send = () => {}\nSendMail.toLayer(send)\nsend()", "send"),
  wrong("a handler by name is called before", "function send() {}\nawait send(it)\nSendMail.toLayer(send)", "send"),
  wrong(
    "a handler that is imported is called",
    "import { send } from \"./send.js\"\nSendMail.toLayer(send)\nsend()",
    "send"
  ),
  wrong("a handler with options is called", "const send = () => {}\nSendMail.handler(send, {})\nsend()", "send"),
  wrong("a handler of a group is called", "const send = () => {}\nOrders.toLayer({ \"a:b\": send })\nsend()", "send"),
  wrong(
    "a handler of a group is called by its name",
    "const all = { \"a:b\": () => {} }\nOrders.toLayer(all)\nall[\"a:b\"](it)",
    "all[\"a:b\"]"
  ),
  wrong("handle is called", "const it = SendMail.handler(() => {})\nit.handle(payload)", "it.handle"),
  wrong("handle is called at once", "SendMail.handler(send).handle(payload)", "SendMail.handler(send).handle"),
  wrong(
    "a function of old is called",
    "import { SideEffect } from \"effect-side-effects\"\nSideEffect.fromFunction(\"a:b\", send)\nsend()\nfunction send() {}",
    "send"
  ),
  fine("a handler calls another one", "const a = () => {}\nA.toLayer(a)\nB.toLayer(() => a())"),
  fine("a handler calls itself", "const a = (n) => n && a(n - 1)\nA.toLayer(a)"),
  fine("a function with the name of a handler", "const a = () => {}\nA.toLayer(a)\nconst f = (a) => a()"),
  fine("handle of something else", "router.handle(request)"),

  // options
  given(
    { clients: ["stripe.*.create"] },
    wrong("a client of one's own", "stripe.charges.create(it)", "stripe.charges.create")
  ),
  given(
    { clients: ["stripe.*.create"] },
    fine("not quite a client of one's own", "stripe.create(it); stripe.a.list()")
  ),
  given(
    { clients: ["notify"] },
    wrong("a function of one's own", "import { notify } from \"./n.js\"\nnotify()", "notify")
  ),
  given(
    { clients: ["notify"] },
    wrong(
      "a function of one's own that is an import in all but its form",
      "import * as n from \"n\"\nn.notify()\nconst { notify: a } = require(\"./n.js\")\na()\nconst notify = require(\"./n.js\")\nnotify()",
      "n.notify",
      "a",
      "notify"
    )
  ),
  given(
    { clients: ["http.fetch"] },
    wrong(
      "a member of a module of the program that is named",
      "import * as http from \"./http.js\"\nhttp.fetch(url)",
      "http.fetch"
    )
  ),
  given({ clients: ["notify"] }, fine("a function of this file", "const notify = () => {}\nnotify()")),
  given(
    { clients: ["@sendgrid/mail#send"] },
    wrong("an export of a package", "import mail from \"@sendgrid/mail\"\nmail.send(it)", "mail.send")
  ),
  given(
    { clients: ["@sendgrid/mail#send"] },
    wrong("an export of a package by another name", "import { send as s } from \"@sendgrid/mail\"\ns(it)", "s")
  ),
  given(
    { clients: ["@sendgrid/mail#send"] },
    fine("an export of another package", "import mail from \"other\"\nmail.send(it); mail.other()")
  ),
  given(
    { clients: ["@sendgrid/mail#send"] },
    fine("a member of an export of a package", "import * as mail from \"@sendgrid/mail\"\nmail.other.send(it)")
  ),
  given(
    { clients: ["@aws-sdk/client-sqs#SQSClient.send"] },
    wrong(
      "an instance of a class of a package",
      "import { SQSClient } from \"@aws-sdk/client-sqs\"\nconst sqs = new SQSClient({})\nsqs.send(it)",
      "sqs.send"
    )
  ),
  given(
    { clients: ["sqs#Client.send"] },
    fine("a class further inside of a package", "import * as sqs from \"sqs\"\nsqs.inner.Client.send(it)")
  ),
  given({ clients: ["new WebSocket"] }, wrong("a constructor", "new WebSocket(url)", "WebSocket")),
  given({ clients: ["new WebSocket"] }, fine("no constructor", "WebSocket(url)")),
  given({ clients: ["globalThis.notify"] }, wrong("a member of globalThis", "notify()", "notify")),
  given(
    { clients: ["stripe.refunds.create"] },
    wrong("a client of a member", "this.stripe.refunds.create(it)", "this.stripe.refunds.create")
  ),
  given({ clients: ["*.publish"] }, wrong("a method of anything", "a.b().publish(it)", "a.b().publish")),
  given(
    { clients: ["sns|sqs.send|sendBatch"] },
    wrong("one of several", "sns.send(); sqs.sendBatch(); s3.send(); sns.list()", "sns.send", "sqs.sendBatch")
  ),
  given(
    { clients: ["Mailer.send"] },
    wrong(
      "a method of a service",
      "import { Mailer } from \"./m.js\"\nEffect.gen(function*() { const it = yield* Mailer; yield* it.send() })",
      "it.send"
    )
  ),
  given(
    { clients: ["Mailer.send"] },
    fine(
      "a method of a service, in a handler",
      "SendMail.toLayer(Effect.fn(function*() { const it = yield* Mailer; yield* it.send() }))"
    )
  ),
  fine("a client that nothing explains", "given.http.deliver(mail)"),
  fine("a client in a callback of then", "import(\"axios\").then((m) => m.default.post(url))"),
  fine("the rest of a client", "import axios from \"axios\"\nconst { ...rest } = axios\nrest.post(url)"),
  fine(
    "a client that a class inherits from",
    "import axios from \"axios\"\nclass A extends axios { run() { this.post(url) } }\nnew A().post(url)"
  ),
  given({ ignore: ["fetch"] }, fine("a default client that is ignored", `fetch(url, ${post})`)),
  given(
    { ignore: ["metrics.*"], clients: ["*.send"] },
    wrong("the rest", "metrics.send(); mails.send()", "mails.send")
  ),

  // TypeScript
  typed(wrong("a client by its type", "const f = (client: HttpClient.HttpClient) => client.post(url)", "client.post")),
  typed(
    wrong(
      "a queue by its type",
      "import type { Queue } from \"bullmq\"\nconst f = (jobs: Queue) => jobs.add(\"a\", 1)",
      "jobs.add"
    )
  ),
  typed(fine("a set by its type", "const f = (queue: Set<string>) => queue.add(\"a\")")),
  typed(
    fine(
      "a set by its type in a class",
      "class A { constructor(private queue: Set<string>) {} run() { this.queue.add(\"a\") } }"
    )
  ),
  typed(
    fine("a set by its type in a field", "class A { readonly queue: Set<string>; run() { this.queue.add(\"a\") } }")
  ),
  typed(
    wrong(
      "sendMail in a class with an index signature",
      "class A { [key: string]: unknown; run() { this.t.sendMail() } }",
      "this.t.sendMail"
    )
  ),
  typed(
    wrong("what is cast", `(fetch as any)(url, ${post}); transport!.sendMail(mail)`, "fetch", "transport!.sendMail")
  ),
  typed(fine("a handler that is cast", "SendMail.toLayer((() => t.sendMail()) as any)")),
  typed(fine("a handler by name that is cast", "const send = () => t.sendMail()\nSendMail.toLayer(send as any)")),
  typed(
    fine("a helper whose type is used", "const a = () => t.sendMail()\ntype A = typeof a\nSendMail.toLayer(() => a())")
  )
]
