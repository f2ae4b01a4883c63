// Sends the form with a progress bar. Without this, the browser sends it itself.
"use strict";

const form = document.querySelector("form");
const part = (id) => document.getElementById(id);

function refuse(text) {
  part("problem").textContent = text;
  part("problem").hidden = false;
  part("uploading").hidden = true;
  part("submit").disabled = false;
}

function sizeOf(data) {
  let size = 0;
  for (const value of data.values()) size += value instanceof File ? value.size : 0;
  return size;
}

function answered(request) {
  let answer = {};
  try {
    answer = JSON.parse(request.responseText);
  } catch (error) {
    answer = { error: "the server gave no answer that this page understands" };
  }
  if (request.status === 201) location.assign(answer.url);
  else refuse(answer.error);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  if (sizeOf(data) > Number(form.dataset.maxBytes)) {
    refuse("these files are larger than this server takes");
    return;
  }
  const request = new XMLHttpRequest();
  request.upload.onprogress = (progress) => {
    if (!progress.lengthComputable) return;
    part("upload").value = progress.loaded / progress.total;
    part("uploaded").textContent = progress.loaded < progress.total ? "Uploading" : "Checking";
  };
  request.onload = () => answered(request);
  request.onerror = () => refuse("the connection broke; try again");
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  part("problem").hidden = true;
  part("uploading").hidden = false;
  part("submit").disabled = true;
  request.send(data);
});
