"use strict";
// The page goes on by itself: its main part is asked for again, and put in the place of the old one.
const PAUSE = 3000;

async function renew() {
  // Not while somebody is at a button, which would be gone under the finger.
  if (!document.hidden && !document.querySelector("main :is(button, input):is(:hover, :focus)")) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
      }
    } catch {
      // The server is away for a moment.
    }
  }
  setTimeout(renew, PAUSE);
}

setTimeout(renew, PAUSE);
