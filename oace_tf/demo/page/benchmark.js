// The table of the benchmark, for engines that can measure themselves.
import { byId } from "./show.js";

/** Shows the button; its record is what `bench.py --replay-web` reads. */
export function offerBenchmark(engine) {
  byId("benchmark").hidden = false;
  const status = byId("measure-status"), rows = byId("measured").tBodies[0];
  let record = null;
  byId("measure").addEventListener("click", async () => {
    byId("measure").disabled = true;
    rows.replaceChildren();
    try {
      record = await engine.benchmark((words) => { status.textContent = words; });
      for (const way of record.backends) rows.append(row(way));
      byId("measured").hidden = byId("save-record").hidden = false;
      status.textContent = summary(record);
    } catch (error) {
      status.textContent = error.message;
    } finally {
      byId("measure").disabled = false;
    }
  });
  byId("save-record").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(record, null, 2) + "\n"],
                                             { type: "application/json" }));
    link.download = "oace_web_benchmark.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}

function row(way) {
  const line = document.createElement("tr"), name = document.createElement("th");
  name.scope = "row";
  name.textContent = way.name;
  line.append(name);
  if (way.status !== "ok") {
    const cell = line.insertCell();
    cell.colSpan = 5;
    cell.textContent = way.reason;
    return line;
  }
  const sorted = [...way.runs_ms].sort((a, b) => a - b);
  for (const value of [way.load_ms, way.first_ms, percentile(sorted, 0.5), percentile(sorted, 0.9)]) {
    line.insertCell().textContent = `${value.toFixed(1)} ms`;
  }
  line.insertCell().textContent = way.masks.length
    ? way.masks.map((mask) => mask.differing_bytes).join(", ") : "no golden masks of this file";
  return line;
}

function percentile(sorted, share) {
  const place = share * (sorted.length - 1), low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

function summary({ device }) {
  const cores = `${device.cores} ${device.cores === 1 ? "core" : "cores"}`;
  const isolated = device.cross_origin_isolated ? "isolated" : "not isolated, so one thread";
  return `${device.user_agent}; ${cores}; ${isolated}.`;
}
