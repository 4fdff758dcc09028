// The style of a report's page: light and dark, wide and narrow, on paper.

/** Line colours can be told apart by readers who are colour-blind (after Okabe and Ito). */
const LIGHT = `
  --page: #f6f7f9; --card: #ffffff; --edge: #dfe3e8; --text: #1b1f24; --text-soft: #59636e; --grid: #e8ebef;
  --note: #8250df; --lost: #c62828; --running: #0969da; --finished: #1a7f37; --stopped: #b35900;
  --line-0: #0072b2; --line-1: #d55e00; --line-2: #009e73; --line-3: #a8518a;
  --line-4: #8a6d00; --line-5: #3a9bd9; --line-6: #555555; --line-7: #7a3e9d;`

const DARK = `
  --page: #0f1216; --card: #171b21; --edge: #2d343d; --text: #e6e9ed; --text-soft: #9aa4af; --grid: #262c34;
  --note: #b08cf5; --lost: #ff6b6b; --running: #58a6ff; --finished: #4cc26a; --stopped: #f0a04b;
  --line-0: #56b4e9; --line-1: #ff9f45; --line-2: #35d0a5; --line-3: #e295c4;
  --line-4: #f0e442; --line-5: #8fb8ff; --line-6: #b5b5b5; --line-7: #c59bea;`

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
:root.print { color-scheme: light; ${LIGHT} --page: #ffffff; }
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 20px 16px 40px; max-width: 1500px;
  background: var(--page); color: var(--text); font: 14px/1.45 system-ui, sans-serif;
}
header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
h1 { margin: 0; font-size: 22px; overflow-wrap: anywhere; }
h2 { margin: 0; font-size: 14px; font-weight: 600; overflow-wrap: anywhere; }
#state { padding: 1px 10px; border: 1px solid currentColor; border-radius: 999px; font-size: 12px; font-weight: 600; }
.running { color: var(--running); }
.finished { color: var(--finished); }
.stopped, .quiet { color: var(--stopped); }
.facts { display: flex; flex-wrap: wrap; gap: 6px 28px; margin: 10px 0 16px; }
.facts dt { color: var(--text-soft); font-size: 12px; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 12px; align-items: start; }
section { min-width: 0; padding: 10px 12px; border: 1px solid var(--edge); border-radius: 8px; background: var(--card); }
.wide { overflow: auto; max-height: 320px; margin-top: 4px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { color: var(--text-soft); font-size: 12px; font-weight: 400; text-align: left; white-space: nowrap; }
th, td { padding: 3px 12px 3px 0; vertical-align: top; }
td { border-top: 1px solid var(--edge); }
td.long { overflow-wrap: anywhere; }
td.short { width: 1%; white-space: nowrap; }
.controls { display: flex; flex-wrap: wrap; gap: 6px 20px; align-items: center; margin: 16px 0 12px; }
.controls label { display: inline-flex; gap: 8px; align-items: center; }
.controls label[hidden] { display: none; }
.hint, .remark { color: var(--text-soft); font-size: 12px; }
.remark { margin: 2px 0 0; }
.remark:empty { display: none; }
#charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); gap: 12px; }
.head { display: flex; gap: 12px; justify-content: space-between; align-items: baseline; }
.head label { color: var(--text-soft); font-size: 12px; white-space: nowrap; }
.values { display: flex; flex-wrap: wrap; gap: 0 14px; min-height: 1.5em; font-size: 12px; font-variant-numeric: tabular-nums; }
.values .step { color: var(--text-soft); }
.values i { display: inline-block; width: 10px; height: 10px; margin-right: 5px; border-radius: 2px; }
.host { min-height: 260px; overflow: hidden; }
.uplot { font: inherit; }
.uplot .u-cursor-x { border-color: var(--text-soft); }
.u-select { background: color-mix(in srgb, var(--text) 10%, transparent); }
input { accent-color: var(--running); }
@media print {
  body { max-width: none; padding: 0; font-size: 12px; }
  .controls, .head label { display: none; }
  .wide { max-height: none; overflow: visible; }
  section { break-inside: avoid; }
}
`
