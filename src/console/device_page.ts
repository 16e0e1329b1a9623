// Entering the code that a program without a browser shows.
import { html } from "./html.ts"
import { csrfField, note, page, type Visit } from "./shell.ts"
import { moment, said } from "./words.ts"

export interface DevicePage {
  readonly visit: Visit
  readonly typed?: string
  readonly problem?: string
}

export function devicePage({ visit, typed = "", problem }: DevicePage): string {
  return page({
    title: "Enter a code",
    visit,
    main: html`${problem !== undefined && note("bad", html`<p>${problem}</p>`)}
      <h1>Enter the code</h1>
      <form method="post" action="/device">
        ${csrfField(visit.csrf)}
        <div class="field">
          <label for="user_code">The code that the program shows</label>
          <p class="hint" id="user_code-hint">Eight letters, such as BCDF-GHJK</p>
          <input
            type="text"
            class="entry"
            id="user_code"
            name="user_code"
            value="${typed}"
            autocomplete="off"
            autocapitalize="characters"
            spellcheck="false"
            aria-describedby="user_code-hint"
          />
        </div>
        <button class="primary">Go on</button>
      </form>`,
  })
}

export interface DeviceQuestionPage {
  readonly visit: Visit
  readonly user_code: string
  readonly client: string
  /** The network address of the program. */
  readonly from: string
  readonly asked_at: number
}

export function deviceQuestionPage({ visit, user_code, client, from, asked_at }: DeviceQuestionPage): string {
  return page({
    title: "Log in a program elsewhere",
    visit,
    main: html`<h1>Log in ${client} as ${said(visit.subject)}?</h1>
      <p>
        It runs on another machine, and will act in your name there. Say yes only if you started it yourself and it shows this very code. If
        somebody sent you the code or the link, say no: they would become you.
      </p>
      <dl class="big">
        <div>
          <dt>Code</dt>
          <dd><code>${user_code}</code></dd>
        </div>
        <div>
          <dt>From</dt>
          <dd>${said(from)}</dd>
        </div>
        <div>
          <dt>Asked</dt>
          <dd>${moment(asked_at, visit.now)}</dd>
        </div>
      </dl>
      <form method="post" action="/device">
        ${csrfField(visit.csrf)}
        <input type="hidden" name="user_code" value="${user_code}" />
        <button class="primary" name="decision" value="allow">Yes, log it in</button>
        <button class="no" name="decision" value="deny">No</button>
      </form>`,
  })
}

export function deviceDonePage({ visit, allowed }: { readonly visit: Visit; readonly allowed: boolean }): string {
  return page({
    title: allowed ? "Logged in" : "Refused",
    visit,
    main: html`<h1>${allowed ? "The program is logged in" : "The program was refused"}</h1>
      <p>You can close this page.</p>`,
  })
}
