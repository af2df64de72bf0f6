import { type DescribedStep, describeWitness } from './describe-step.ts';
import type { Witness } from './witness.ts';

/**
 * A witness as a fragment of HTML: a lane for each role with a bar for each call, from question to answer, and the
 * lines below. No scripts, no files from elsewhere, no style sheet needed.
 */
export function renderWitnessHtml(witness: Witness, startedAt: number, seed?: number | string): string {
  const { title, rule, steps } = describeWitness(witness, startedAt, seed);
  const from = Math.min(...steps.map((step) => step.from));
  const to = Math.max(...steps.map((step) => step.at));
  const roles = [...new Set(steps.map((step) => step.role))];
  const lanes = roles.map((role) => {
    const bars = steps.filter((step) => step.role === role).map((step) => bar(step, from, to));
    return `<tr><th scope="row" style="${cell}">${escapeHtml(role)}</th><td style="${lane}">${bars.join('')}</td></tr>`;
  });
  return [
    '<figure class="millrace-witness" style="margin:1em 0;font:13px/1.5 ui-monospace,monospace">',
    `<figcaption><strong>${escapeHtml(title)}</strong><br>${escapeHtml(rule)}</figcaption>`,
    `<table style="width:100%;border-collapse:collapse"><tbody>${lanes.join('')}</tbody></table>`,
    `<ol style="padding-left:2em">${steps.map(line).join('')}</ol>`,
    '</figure>',
  ].join('\n');
}

const cell = 'width:8em;text-align:left;font-weight:normal;vertical-align:middle';
const lane = 'position:relative;height:1.8em;border-bottom:1px solid #ccc';

function bar(step: DescribedStep, from: number, to: number): string {
  const span = to - from || 1;
  // The last bar must not start at the very edge, where it would have no width.
  const left = ((step.from - from) / span) * 98;
  const width = Math.max(0.6, ((step.at - step.from) / span) * 98);
  const colour = step.wrong === undefined ? '#4a7fb5' : '#c0392b';
  const style = `position:absolute;left:${left.toFixed(2)}%;width:${width.toFixed(2)}%;top:.35em;height:1em;background:${colour};opacity:.8`;
  return `<span style="${style}" title="${escapeHtml(textOf(step))}"></span>`;
}

function line(step: DescribedStep): string {
  const text = escapeHtml(textOf(step));
  return step.wrong === undefined
    ? `<li>${text}</li>`
    : `<li style="color:#c0392b">${text} ✗ ${escapeHtml(step.wrong)}</li>`;
}

function textOf(step: DescribedStep): string {
  const outcome = step.outcome === '' ? '' : ` → ${step.outcome}`;
  return `${step.at.toFixed(3)} ${step.role} ${step.what}${outcome}`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

// Ids and roles come from tests that try hostile names.
function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
