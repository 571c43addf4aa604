// Follows one job through /model/report until it ends. Every text from the server goes into the
// page by textContent only.

const POLL_MILLISECONDS = 1000;
const REQUEST_MILLISECONDS = 10000;
const ENDED = ["finished", "failed", "canceled"];
const MODES = {
  Paillier: "Masked, then Paillier-encrypted",
  SecAgg: "Masked (secure aggregation)",
  None: "Not encrypted",
};
const PHASES = {
  preparing: "Parties join and read their rows",
  counting: "Counts, means and deviations are summed",
  training: "Gradients are summed",
  scoring: "Rows are scored",
};

const element = (id) => document.getElementById(id);
const show = (id, visible) => { element(id).hidden = !visible; };
const text = (id, value) => { element(id).textContent = value; };

// The address is board#/dashboard?job_id=..&role=..&party_id=..&order_id=..
function place() {
  const query = location.hash.slice(location.hash.indexOf("?") + 1);
  const parameters = new URLSearchParams(location.hash.includes("?") ? query : "");
  const boardParty = Number(parameters.get("party_id"));
  return { order: parameters.get("order_id"), viewer: boardParty ? 10001 - boardParty : null };
}

function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours} h ${minutes} min ${rest} s` : `${minutes} min ${rest} s`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
}

const count = (value) => (value ?? null) === null ? "–" : value.toLocaleString();
const moment = (unix) => unix === null ? "–" : new Date(unix).toLocaleString();
const party = (id) => id === 1 ? "the server" : `party ${id}`;

function facts(id, pairs) {
  const nodes = pairs.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
  element(id).replaceChildren(...nodes);
}

function cell(value, number) {
  const cell = document.createElement("td");
  cell.textContent = value;
  if (number) cell.className = "number";
  return cell;
}

function drawParties(parties, viewer) {
  const rows = parties.map((entry) => {
    const row = document.createElement("tr");
    const own = entry.user_id === viewer;
    if (own) row.setAttribute("aria-current", "true");
    row.append(
      cell(own ? `${entry.user_id} (you)` : `${entry.user_id}`),
      cell(entry.role),
      cell(count(entry.rows), true),
      cell(count(entry.dropped?.missing), true),
      cell(count(entry.dropped?.repeated), true),
      cell((entry.bytes ?? null) === null ? "–" : bytes(entry.bytes), true),
    );
    return row;
  });
  element("parties").replaceChildren(...rows);
  show("parties-card", true);
}

function drawProgress(report) {
  element("progress").value = report.progress;
  text("percent", `${report.progress} %`);
  const parts = [];
  if (report.status === "running") parts.push(PHASES[report.phase] ?? report.phase);
  if (report.iterations_max) {
    parts.push(`iteration ${report.iterations} of at most ${report.iterations_max}`);
  }
  if (report.round) parts.push(`round ${report.round}`);
  if (report.converged !== null) parts.push(report.converged ? "converged" : "not converged");
  if (report.attempts > 1) parts.push(`attempt ${report.attempts}`);
  if (report.seconds_left !== null) {
    parts.push(`at most ${duration(report.seconds_left * 1000)} left`);
  }
  text("doing", parts.join(" · "));
  show("progress-card", true);
}

function drawTrouble(report) {
  const waiting = report.waiting;
  show("waiting-card", waiting !== null);
  if (waiting) {
    const names = waiting.parties.map(party).join(", ");
    text("waiting", `For ${names}, since ${moment(waiting.since)} `
      + `(${duration(waiting.milliseconds)}). The job goes on by itself when they are back.`);
  }
  const reason = report.status === "finished" ? null : report.reason;
  show("reason-card", reason !== null);
  if (reason) {
    const side = reason.party === null ? "" : `, on the side of ${party(reason.party)}`;
    const what = report.status === "failed" ? "The job failed" : "The last attempt failed";
    text("reason-title", `${what}${side}`);
    text("reason-text", reason.text);
    text("reason-remedy", reason.remedy);
    text("reason-code", reason.code);
  }
}

function drawPrivacy(privacy) {
  show("privacy-card", privacy !== null);
  if (!privacy) return;
  const pairs = [["Contributions", MODES[privacy.mode] ?? privacy.mode]];
  if (privacy.key_bits !== null) pairs.push(["Key", `${privacy.key_bits} bits`]);
  pairs.push(["Slots per contribution", count(privacy.slots)]);
  if (privacy.ciphertexts) pairs.push(["Ciphertexts per contribution", count(privacy.ciphertexts)]);
  facts("privacy", pairs);
}

function drawTimes(report) {
  const pairs = [
    ["Submitted", moment(report.created)],
    ["Started", moment(report.started)],
    ["Ended", moment(report.ended)],
    ["Since submission", duration(report.milliseconds)],
  ];
  if (report.milliseconds_running !== null) {
    pairs.push(["Since the start", duration(report.milliseconds_running)]);
  }
  if (report.round_milliseconds !== null) {
    pairs.push(["Median round", `${report.round_milliseconds.toFixed(1)} ms`]);
  }
  facts("times", pairs);
  show("times-card", true);
}

const KINDS = {
  train: "Training",
  infer: "Inference",
  compute: "Joint computation",
  learn: "Learning from files",
};

function draw(report, viewer) {
  const kind = KINDS[report.kind];
  document.title = `${report.status} ${report.progress} % · ${report.job_name} · Concord`;
  text("title", report.job_name);
  const model = report.model_id === null ? "" : ` · model ${report.model_id}`;
  text("subtitle", `${kind} · order ${report.order_id}${model} · asked for by ${party(report.user_id)}`);
  text("status", report.status);
  element("status").dataset.status = report.status;
  drawProgress(report);
  drawTrouble(report);
  drawParties(report.parties, viewer);
  drawPrivacy(report.privacy);
  drawTimes(report);
}

function notice(sentence) {
  text("offline", sentence ?? "");
  show("offline", sentence !== null);
}

// The token is this tab's alone: no other page and no later visit has it.
const TOKEN = "concord-token";

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { token } : {};
}

// Asks for a token and follows the job anew once there is one.
function askForToken(sentence) {
  sessionStorage.removeItem(TOKEN);
  text("token-wrong", sentence);
  show("token-card", true);
  element("token").focus();
}

element("token-card").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = element("token").value.trim();
  element("token").value = "";
  if (!/^[\x21-\x7e]+$/.test(token)) {
    askForToken("a token has visible ASCII characters alone");
    return;
  }
  sessionStorage.setItem(TOKEN, token);
  show("token-card", false);
  follow();
});

// Answers whether the job may still change.
async function poll(order, viewer, current) {
  const response = await fetch(`model/report?order_id=${encodeURIComponent(order)}`, {
    signal: AbortSignal.timeout(REQUEST_MILLISECONDS),
    cache: "no-store",
    headers: headers(),
  });
  const answer = await response.json();
  if (!current()) return false;
  if (response.status === 401) {
    notice(null);
    askForToken(answer.message);
    return false;
  }
  if (response.status >= 400 && response.status < 500 && response.status !== 408) {
    notice(answer.message);
    return false;
  }
  if (answer.code !== 200) throw new Error(answer.message);
  notice(null);
  draw(answer.data, viewer);
  return !ENDED.includes(answer.data.status);
}

let following = 0;

async function follow() {
  following += 1;
  const mine = following;
  const current = () => mine === following;
  const { order, viewer } = place();
  if (!order) {
    notice("The address names no job: it must end with ?order_id=...");
    return;
  }
  let more = true;
  while (more && current()) {
    try {
      more = await poll(order, viewer, current);
    } catch {
      if (current()) notice("The server does not answer at the moment. Trying again.");
    }
    if (more) await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
  }
}

addEventListener("hashchange", follow);
follow();
