/** Round trips that a unit has room for, and more. */
const inUnit = 20;

/**
 * Twice what so many in a row usually take, and half again what they took at worst: in the better half of the
 * measurement, because one moment in which the machine stood still says nothing of the others.
 */
export function unitsOf(times: readonly number[]): { readonly usually: number; readonly atWorst: number } {
  const sums = sumsOfRows(times).sort((a, b) => a - b);
  const halves = [times.slice(0, times.length / 2), times.slice(times.length / 2)];
  const worst = Math.min(...halves.map((half) => Math.max(...sumsOfRows(half))));
  return { usually: 2 * (sums[Math.floor(sums.length / 2)] ?? 0), atWorst: 1.5 * worst };
}

function sumsOfRows(times: readonly number[]): number[] {
  const rows = times.slice(inUnit - 1).map((_, end) => times.slice(end, end + inUnit));
  return rows.map((row) => row.reduce((sum, time) => sum + time, 0));
}
