// What a benchmark's page has beside the style of reports.

export const BENCH_STYLE = `
#roofline { margin-bottom: 12px; }
#plot { height: 460px; overflow: hidden; }
#legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 6px 0; font-size: 12px; }
#legend button { padding: 0; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; }
#legend button.off { opacity: 0.35; }
#legend i { display: inline-block; width: 10px; height: 10px; margin-right: 5px; border-radius: 5px; }
#told { min-height: 1.5em; color: var(--text-soft); }
#cases { overflow: auto; max-height: 75vh; margin-top: 4px; }
#cases th { position: sticky; top: 0; background: var(--card); cursor: pointer; user-select: none; }
#cases th[aria-sort] { color: var(--text); font-weight: 600; }
#cases td.number, #cases th.number { text-align: right; white-space: nowrap; }
#cases td.name { min-width: 220px; }
#cases td.reason { min-width: 160px; }
#cases td.soft { color: var(--text-soft); }
#cases tr.found td { background: color-mix(in srgb, var(--running) 18%, transparent); }
#cases .bar { display: inline-block; width: 60px; height: 8px; margin-left: 8px; border-radius: 4px; background: var(--grid); overflow: hidden; vertical-align: middle; }
#cases .bar i { display: block; height: 100%; background: var(--finished); }
#cases .bar i.behind { background: var(--stopped); }
#cases .slower { color: var(--lost); }
#cases .faster { color: var(--finished); }
input[type=search] { padding: 3px 8px; border: 1px solid var(--edge); border-radius: 6px; background: var(--card); color: inherit; font: inherit; }
`
