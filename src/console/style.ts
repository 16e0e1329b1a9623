// The one style sheet. Colours keep a contrast of at least 4.5 to 1 in both schemes; nothing is told by colour alone.
import { createHash } from "node:crypto"
import { styleElement } from "./html.ts"

const colours = `
:root {
  color-scheme: light dark;
  --ink: #18212b; --soft: #53606e; --paper: #f4f6f5; --card: #ffffff; --line: #d5dbe1; --edge: #77838f;
  --accent: #0a5a68; --go: #17693a; --no: #a8242b; --wait: #7a4b00; --tint: #eaf2f3; --alarm: #fdeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6ebef; --soft: #a5b1bc; --paper: #10151a; --card: #192027; --line: #313c46; --edge: #7f8c98;
    --accent: #74c7d4; --go: #6fce96; --no: #ff938c; --wait: #e8b562; --tint: #1d2b31; --alarm: #35201f;
  }
}`

const frame = `
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: 0; }
.skip { position: absolute; left: -99rem; padding: .75rem 1rem; background: var(--card); }
.skip:focus { left: .5rem; top: .5rem; z-index: 2; }
header.top { background: var(--card); border-bottom: 1px solid var(--line); }
header.top > div, main { max-width: 46rem; margin: 0 auto; padding: 0 1rem; }
header.top > div { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; column-gap: 1rem; }
.brand {
  display: inline-flex; align-items: center; gap: .5rem; min-height: 44px;
  font-weight: 700; letter-spacing: .02em; color: var(--ink); text-decoration: none;
}
.brand svg { width: 1.25rem; height: 1.25rem; fill: none; stroke: var(--accent); stroke-width: 2; }
nav { flex: 1 0 100%; order: 3; display: flex; flex-wrap: wrap; margin: 0 -.6rem; }
nav a {
  display: inline-flex; align-items: center; min-height: 44px; padding: 0 .6rem; color: var(--soft); text-decoration: none;
  border-bottom: 3px solid transparent; border-top: 3px solid transparent;
}
nav a:hover { color: var(--ink); }
nav a[aria-current] { color: var(--ink); font-weight: 600; border-bottom-color: var(--accent); }
.me { display: flex; flex-wrap: wrap; align-items: center; gap: 0 .75rem; color: var(--soft); font-size: .875rem; }
main { padding-top: 1.5rem; padding-bottom: 2rem; }`

const words = `
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; font-weight: 650; }
h2 { font-size: 1.0625rem; line-height: 1.3; margin: 2rem 0 .75rem; font-weight: 650; }
h3, .row h2 { font-size: 1rem; line-height: 1.3; margin: 0; font-weight: 650; }
p { margin: 0 0 .75rem; }
.soft { color: var(--soft); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem; margin: 0 0 .75rem; }
.card > :last-child { margin-bottom: 0; }
ul.cards { list-style: none; margin: 0; padding: 0; }
.row { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .25rem 1rem; margin-bottom: .35rem; }
.row a { display: inline-block; padding: .65rem 0; }
dl { margin: 0; }
dl > div { display: grid; grid-template-columns: 6.5rem 1fr; gap: .25rem 1rem; padding: .5rem 0; border-top: 1px solid var(--line); }
dl > div:first-child { border-top: 0; }
dt { color: var(--soft); }
dd { margin: 0; }
dl.big dt { line-height: 1.6; }
dl.big dd { font-size: 1.125rem; line-height: 1.4; font-weight: 600; }
dl.big dd .soft { font-size: 1rem; font-weight: 400; }
code { font: .9375em/1.45 ui-monospace, "Cascadia Mono", Menlo, "Liberation Mono", monospace; white-space: pre-wrap; }
dd code { display: block; background: var(--tint); border-radius: 6px; padding: .4rem .6rem; margin: .15rem 0; font-weight: 400; }
.badge {
  display: inline-flex; align-items: center; gap: .35em; padding: .1rem .6rem; border: 1px solid currentColor; border-radius: 99px;
  font-size: .875rem; font-weight: 600; white-space: nowrap;
}
.badge.good { color: var(--go); }
.badge.bad { color: var(--no); }
.badge.wait { color: var(--wait); }
.badge.over { color: var(--soft); }
.note { border-left: 4px solid var(--accent); background: var(--tint); padding: .75rem 1rem; border-radius: 0 8px 8px 0; margin: 0 0 1rem; }
.note.bad { border-left-color: var(--no); background: var(--alarm); }
.note > :last-child { margin-bottom: 0; }
.note h2 { margin: 0 0 .25rem; }
ol.steps { margin: 0 0 .75rem; padding-left: 1.25rem; }
ol.steps li { margin: .25rem 0; }`

const forms = `
label, legend { font-weight: 600; }
legend { padding: 0; }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; min-width: 0; }
.field { margin: 0 0 1rem; }
.hint { color: var(--soft); font-size: .875rem; font-weight: 400; margin: .1rem 0 .35rem; }
.wrong { color: var(--no); font-weight: 600; margin: .1rem 0 .35rem; }
input[type=text], textarea {
  width: 100%; min-height: 44px; padding: .55rem .7rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--edge); border-radius: 8px;
}
textarea { display: block; resize: vertical; }
::placeholder { color: var(--soft); opacity: 1; }
[aria-invalid=true] { border: 2px solid var(--no); }
.choices { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .35rem; }
.choices label {
  display: inline-flex; align-items: center; gap: .5rem; min-height: 44px; padding: .25rem .9rem; font-weight: 400;
  border: 1px solid var(--edge); border-radius: 8px; background: var(--card);
}
.choices label:has(:checked) { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); font-weight: 600; }
.choices input { width: 1.1rem; height: 1.1rem; margin: 0; accent-color: var(--accent); }
.choices input[type=text] { width: 7rem; height: auto; min-height: 44px; margin: 0; }
button, .button {
  display: inline-flex; align-items: center; justify-content: center; gap: .5rem; min-height: 48px; padding: .5rem 1.25rem;
  font: inherit; font-weight: 600; color: var(--ink); background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  cursor: pointer; text-decoration: none;
}
button:hover, .button:hover { border-color: var(--ink); }
.primary { background: #0a5a68; border-color: #0a5a68; color: #fff; }
.go { background: #17693a; border-color: #17693a; color: #fff; }
.no { border-color: var(--no); color: var(--no); }
.plain {
  min-height: 44px; border: 0; background: none; padding: 0 .25rem; color: var(--accent);
  text-decoration: underline; font-weight: 400; font-size: .875rem;
}
.bar + p { margin-top: .75rem; }
.decide { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.decide button { font-size: 1.0625rem; min-height: 52px; }
summary { cursor: pointer; min-height: 44px; padding: .6rem 0; color: var(--accent); }
details[open] { padding-bottom: .5rem; }
.entry { font-size: 1.5rem; letter-spacing: .15em; text-transform: uppercase; max-width: 16rem; }
@media (max-width: 34rem) {
  dl > div { grid-template-columns: 5rem 1fr; gap: .5rem; }
  h1 { font-size: 1.375rem; }
  nav a { padding: 0 .5rem; font-size: .9375rem; }
  .bar {
    position: sticky; bottom: 0; margin: 1rem -1rem 0; padding: .75rem 1rem calc(.75rem + env(safe-area-inset-bottom));
    background: var(--card); border-top: 1px solid var(--line);
  }
  .bar > button { width: 100%; }
}`

const sheet = [colours, frame, words, forms].join("\n")

export const style = styleElement(sheet)

/** For `style-src`: this sheet and no other. */
export const styleHash = `'sha256-${createHash("sha256").update(sheet).digest("base64")}'`
