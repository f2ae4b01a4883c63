// Shows a job's progress as it comes. The page says the same without this; then it has to be loaded again.
"use strict";

const address = document.getElementById("job").dataset.address;
const ENDED = ["done", "failed", "cancelled"];
const RETRY_MS = 2000;
const part = (id) => document.getElementById(id);

function show(job) {
  const percent = Math.floor(100 * job.fraction) + " %";
  part("state").textContent = job.state;
  part("state").className = "state " + job.state;
  part("progress").value = job.fraction;
  part("percent").textContent = percent;
  if (part("cancel")) part("cancel").disabled = job.state === "cancelling";
  const waiting = job.ahead === 0 ? "next in the queue" : job.ahead + " before it in the queue";
  part("message").textContent = job.state === "queued" ? waiting : job.message;
  document.title = (job.state === "running" ? percent : job.state) + document.title.slice(document.title.indexOf(" · "));
}

function follow() {
  const source = new EventSource(address + "/events");
  source.onmessage = (event) => {
    const job = JSON.parse(event.data);
    show(job);
    if (ENDED.includes(job.state)) {
      source.close();
      location.reload(); // the page of an ended job lists its files
    }
  };
  source.onerror = () => {
    // The server is starting again, perhaps. Browsers differ in whether they go on by themselves.
    source.close();
    part("message").textContent = "the server does not answer; trying again";
    setTimeout(follow, RETRY_MS);
  };
}

follow();
