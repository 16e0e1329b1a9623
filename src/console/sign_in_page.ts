// Signing in and out, as seen by somebody who is not signed in.
import { html } from "./html.ts"
import { page } from "./shell.ts"
import { said } from "./words.ts"

/** `line`: prints a link that signs in, for somebody who has an SSH key here. */
export function signInPage({ line }: { readonly line: string }): string {
  return page({
    title: "Sign in",
    visit: undefined,
    main: html`<h1>Sign in</h1>
      <p>People sign in here with their SSH key. In a terminal:</p>
      <p><code>${line}</code></p>
      <p>It prints a link that signs this browser in. The link works once, for two minutes.</p>`,
  })
}

export function linkPage({ code, subject }: { readonly code: string; readonly subject: string }): string {
  return page({
    title: "Sign in",
    visit: undefined,
    main: html`<h1>Sign in as ${said(subject)}?</h1>
      <p>You asked for this link with your SSH key. If it came from somebody else, close this page.</p>
      <form method="post" action="/sign-in/link">
        <input type="hidden" name="code" value="${code}" />
        <button class="primary">Sign in</button>
      </form>`,
  })
}

export function signedOutPage(): string {
  return page({
    title: "Signed out",
    visit: undefined,
    main: html`<h1>You are signed out</h1>
      <p>You may still be signed in to the company's login itself.</p>
      <p><a class="button" href="/sign-in">Sign in again</a></p>`,
  })
}
