// `sluice login` and `sluice logout`. With a service to log in to, the login is this machine's; otherwise, and over ssh, it is a link
// that signs a browser in.
import { spawn } from "node:child_process"
import { type ApiClient, createApiClient } from "../../api/client.ts"
import type { Whoami } from "../../api/schema.ts"
import { Secret } from "../../core/secret.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type Context, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"
import { askGateway } from "../gateway_ssh.ts"
import { forgetLogin, keepLogin, readLogin, useLogin } from "../kept_login.ts"
import type { Local } from "../local.ts"
import { codeFlow, type Device, deviceFlow, devicePage, type Tokens, type Wanted } from "../oauth_client.ts"
import type { Service } from "../service.ts"
import { until } from "../words.ts"

/** Something that a login brings besides itself. `api` calls the service as the one who has logged in. */
export type AfterLogin = (context: Context, api: ApiClient) => Promise<void>

interface Options extends JsonOption {
  readonly device?: true
  readonly fresh?: true
  readonly acr?: string
}

export const addLogin =
  (local: Local, after: readonly AfterLogin[]): AddVerb =>
  (program, context) => {
    program
      .command("login")
      .description("log in: with the company's login, or get a link that signs a browser in")
      .option("--device", "there is no browser here: show a code to type in one elsewhere")
      .option("--fresh", "prove anew who you are, for what asks for a fresh login")
      .option("--acr <class>", "prove who you are by this class of login, for what asks for it")
      .option(...jsonOption)
      .action(async (options: Options) => {
        const { io } = context
        const service = await local.service()
        if (!service) return io.write(await askGateway(await local.gateway(), ["login", ...(options.json ? ["--json"] : [])], io.signal))
        const tokens = await (options.device || !hasBrowser() ? atDevice : inBrowser)(service, context, wantedBy(options))
        const { access_token, login_expires_at } = await keepLogin(service, tokens)
        const api = createApiClient({ url: service.url, ca: service.ca, credential: () => new Secret(access_token) })
        try {
          const me = await api.call("whoami", {}, { signal: io.signal })
          show(context, options, me, () => welcome(me, until(login_expires_at, context.now())))
          for (const bring of after) await bring(context, api)
        } finally {
          await api.close()
        }
      })
    program
      .command("logout")
      .description("end this machine's login, everywhere")
      .action(async () => {
        const service = await local.service()
        if (!service || !(await readLogin(service))) throw new Failure("you are not logged in here", "")
        try {
          const { access_token } = await useLogin(service, context.io.signal)
          const api = createApiClient({ url: service.url, ca: service.ca, credential: () => new Secret(access_token) })
          try {
            await api.call("logout", { body: {} }, { signal: context.io.signal })
          } finally {
            await api.close()
          }
        } catch (failure) {
          // It had ended already: what is left of it goes too.
          if (!(failure instanceof Failure)) throw failure
        }
        await forgetLogin(service)
        context.io.write("You are logged out.\n")
      })
  }

const welcome = ({ subject, groups }: Whoami, end: string): string =>
  `You are logged in as ${visible(subject)}${groups.length === 0 ? "" : ` (${visible(groups.join(", "))})`} until ${end}.`

const wantedBy = ({ fresh, acr }: Options): Wanted => ({ max_age_s: fresh ? 0 : undefined, acr })

function inBrowser(service: Service, { io }: Context, wanted: Wanted): Promise<Tokens> {
  const open = (url: string): void => {
    io.error(`Log in with your browser. If it does not open, go to\n  ${url}\n`)
    startBrowser(url)
  }
  return codeFlow({ service, wanted, signal: io.signal, open })
}

function atDevice(service: Service, { io }: Context, wanted: Wanted): Promise<Tokens> {
  const tell = (device: Device): void =>
    io.error(
      `In a browser anywhere, go to\n  ${devicePage(device, wanted)}\nand enter the code\n  ${device.user_code}\nWaiting for it; Ctrl-C gives up.\n`,
    )
  return deviceFlow(service, tell, io.signal)
}

/** Where nobody sees a window, a code does. */
function hasBrowser(): boolean {
  const { BROWSER, DISPLAY, WAYLAND_DISPLAY, SSH_CONNECTION } = process.env
  if (BROWSER) return true
  return !SSH_CONNECTION && (process.platform !== "linux" || Boolean(DISPLAY || WAYLAND_DISPLAY))
}

/** Best effort: the URL is on the screen too. */
function startBrowser(url: string): void {
  const program = process.env["BROWSER"] || (process.platform === "darwin" ? "open" : "xdg-open")
  const child = spawn(program, [url], { stdio: "ignore", detached: true })
  child.on("error", () => {})
  child.unref()
}
