// Asking: first for which target, then the rest of the question. What was wrong is said at the top, with links to the fields, and at
// each field; what was written stays.
import type { AskableTarget } from "../api/schema.ts"
import { formatDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { html, type Html } from "./html.ts"
import { csrfField, note, page, proveLink, type Visit } from "./shell.ts"
import { names, said } from "./words.ts"

export interface ChoosePage {
  readonly visit: Visit
  readonly targets: readonly AskableTarget[]
}

export function choosePage({ visit, targets }: ChoosePage): string {
  return page({
    title: "Ask for access",
    visit,
    place: "/ask",
    main: html`<h1>Ask for access</h1>
      ${
        targets.length === 0
          ? html`<p>No rule lets you ask for anything. If you expected one, tell whoever looks after the rules.</p>`
          : html`<p class="soft">Choose what you need.</p>
              <ul class="cards">
                ${targets.map(
                  ({ name, protocol, labels, max_ms, approve }) =>
                    html`<li class="card">
                      <div class="row">
                        <h2><a href="/ask?target=${encodeURIComponent(name)}">${said(name)}</a></h2>
                        <span class="soft">${protocol}</span>
                      </div>
                      <p class="soft">
                        ${Object.entries(labels).map(([key, value]) => html`${said(`${key}: ${value}`)}, `)}up to ${formatDuration(max_ms)},
                        ${how[approve]}
                      </p>
                    </li>`,
                )}
              </ul>`
      }`,
  })
}

const how = {
  auto: "approved by a rule at once",
  people: "a colleague approves",
  break_glass: "nobody approves; only by breaking the glass",
} as const

/** As it was written, to be shown again. */
export interface Written {
  readonly for: string
  /** Chosen among those offered, rather than typed. */
  readonly as: readonly string[]
  readonly reason: string
  readonly actions: string
  readonly uses: string
  readonly break_glass: boolean
}

export type Field = Exclude<keyof Written, "break_glass">
export type Problems = Partial<Record<Field, string>>

export interface AskPage {
  readonly visit: Visit
  readonly target: AskableTarget
  /** The page of the target that they wanted to see. */
  readonly back?: string | undefined
  readonly written?: Written
  readonly problems?: Problems
  /** One that belongs to no field. */
  readonly problem?: string | undefined
  /** Where to prove anew who they are, when that is what was wrong. */
  readonly prove?: string | undefined
}

const presets_ms = [15, 30, 60, 4 * 60, 8 * 60, 24 * 60].map((minutes) => minutes * 60_000)
const nothing: Written = { for: "", as: [], reason: "", actions: "", uses: "", break_glass: false }
const labels: Record<Field, string> = { for: "How long", as: "As", reason: "Reason", actions: "Only these actions", uses: "How often" }

export function askPage({ visit, target, back, written = nothing, problems = {}, problem, prove }: AskPage): string {
  const { name, protocol, accounts, max_ms, reason_required } = target
  const wrong = Object.entries(problems)
  return page({
    title: `${wrong.length > 0 || problem !== undefined ? "Not sent: a" : "A"}sk for ${name}`,
    visit,
    place: "/ask",
    main: html`${
        (wrong.length > 0 || problem !== undefined) &&
        note(
          "bad",
          html`<h2 class="wrong">This was not sent</h2>
            ${problem !== undefined && html`<p>${problem}</p>`} ${proveLink(prove)}
            <ul>
              ${wrong.map(([field, words]) => html`<li><a href="#${field}">${labels[field as Field]}: ${words}</a></li>`)}
            </ul>`,
        )
      }
      <h1>Ask for ${said(name)}</h1>
      <form method="post" action="/ask" novalidate>
        ${csrfField(visit.csrf)}<input
          type="hidden"
          name="target"
          value="${name}"
        />${back !== undefined && html`<input type="hidden" name="return" value="${back}" />`} ${durationField(written, problems, max_ms)}
        ${accounts.length > 0 && accountsField(accounts, written, problems)}
        <div class="field">
          <label for="reason">Reason</label>
          <p class="hint" id="reason-hint">${reason_required ? "Needed." : "Optional."} Those who approve read it first.</p>
          ${wrongField("reason", problems)}
          <textarea id="reason" name="reason" rows="3" maxlength="${limits.reason_chars_max}" ${described("reason", problems)}>
${written.reason}</textarea>
        </div>
        ${narrowFields(protocol, written, problems)} ${target.break_glass && glassField(written)}
        <div class="bar"><button class="primary">Ask for access</button></div>
      </form>
      <p class="soft">${next[target.approve]}</p>`,
  })
}

const next = {
  auto: "A rule approves this at once.",
  people: "A colleague approves it; the next page says when.",
  break_glass: "Nobody approves this: it is given at once to who breaks the glass.",
} as const

const glassField = ({ break_glass }: Written): Html =>
  html`<fieldset>
    <legend>When nobody can approve</legend>
    <p class="hint">At once, without an approval. Everybody concerned is told, and somebody else reviews what you did.</p>
    <div class="choices">
      <label><input type="checkbox" name="break_glass" value="yes" ${break_glass && html` checked`} />Break the glass</label>
    </div>
  </fieldset>`

function durationField(written: Written, problems: Problems, max_ms: number): Html {
  const offered = presets_ms.filter((one) => one < max_ms).slice(0, 4)
  const choices = [...offered, max_ms].map(formatDuration)
  const chosen = choices.includes(written.for) ? written.for : written.for === "" ? choices[Math.min(2, choices.length - 1)] : undefined
  return html`<fieldset id="for" tabindex="-1">
    <legend>How long</legend>
    <p class="hint">At most ${formatDuration(max_ms)}, from the moment it is approved.</p>
    ${wrongField("for", problems)}
    <div class="choices">
      ${choices.map(
        (words) => html`<label><input type="radio" name="for" value="${words}" ${words === chosen && html` checked`} />${words}</label> `,
      )}<label class="other"
        ><input type="radio" name="for" value="other" ${chosen === undefined && html` checked`} />Other
        <input
          type="text"
          name="other"
          aria-label="Other duration, such as 45m"
          placeholder="45m"
          autocomplete="off"
          value="${chosen === undefined ? written.for : ""}"
      /></label>
    </div>
  </fieldset>`
}

function accountsField(accounts: readonly string[], { as }: Written, problems: Problems): Html {
  return html`<fieldset id="as" tabindex="-1">
    <legend>As</legend>
    <p class="hint">Which accounts; none chosen asks for all: ${names(accounts)}.</p>
    ${wrongField("as", problems)}
    <div class="choices">
      ${accounts.map(
        (account) =>
          html`<label
            ><input type="checkbox" name="as" value="${account}" ${as.includes(account) && html` checked`} />${said(account)}</label
          > `,
      )}
    </div>
  </fieldset>`
}

const examples: Readonly<Record<string, string>> = {
  ssh: "systemctl restart app",
  postgres: "SELECT count(*) FROM orders",
  http: "GET /api/health",
}

/** For those who need one thing and not the whole target. */
function narrowFields(protocol: string, written: Written, problems: Problems): Html {
  const open = written.actions !== "" || written.uses !== "" || problems.actions !== undefined || problems.uses !== undefined
  return html`<details${open && html` open`}><summary>Ask for certain actions alone</summary>
<div class="field"><label for="actions">Only these actions</label><p class="hint" id="actions-hint">One a line, such as <code>${examples[protocol] ?? ""}</code>. Left empty: all that the account may do.</p>${wrongField("actions", problems)}
<textarea id="actions" name="actions" rows="3" spellcheck="false" autocapitalize="off"${described("actions", problems)}>${written.actions}</textarea></div>
<div class="field"><label for="uses">How often</label><p class="hint" id="uses-hint">A number; left empty: as often as you like until the end.</p>${wrongField("uses", problems)}
<input type="text" id="uses" name="uses" inputmode="numeric" autocomplete="off" value="${written.uses}"${described("uses", problems)}></div></details>`
}

const wrongField = (field: Field, problems: Problems): Html | undefined =>
  problems[field] === undefined ? undefined : html`<p class="wrong" id="${field}-wrong">${problems[field]}</p>`

const described = (field: Field, problems: Problems): Html =>
  problems[field] === undefined
    ? html` aria-describedby="${field}-hint"`
    : html` aria-invalid="true" aria-describedby="${field}-wrong ${field}-hint"`
