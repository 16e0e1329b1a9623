// A program on this computer asks to act as somebody: what it is, and what yes means.
import { html } from "./html.ts"
import { csrfField, page, type Visit } from "./shell.ts"
import { said } from "./words.ts"

export interface ConsentPage {
  readonly visit: Visit
  readonly client: string
  /** Goes back with the answer. */
  readonly asked: Readonly<Record<string, string>>
}

export function consentPage({ visit, client, asked }: ConsentPage): string {
  return page({
    title: "Log in a program",
    visit,
    main: html`<h1>Log in ${client} as ${said(visit.subject)}?</h1>
      <p>A program on this computer asks for it. It will ask for access and decide about requests in your name until you log it out.</p>
      <p>If you did not just run <code>sluice login</code> here, say no.</p>
      <form method="post" action="/oauth/authorize">
        ${csrfField(visit.csrf)}
        ${Object.entries(asked).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
        <button class="primary" name="decision" value="allow">Log in</button>
        <button class="no" name="decision" value="deny">No</button>
      </form>`,
  })
}
