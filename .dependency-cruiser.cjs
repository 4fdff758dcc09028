// The floors of lib/: a room imports from its own floor's files of the same room, or from floors below. No cycles.
const FLOORS = [
  ['schema'],
  ['runtime'],
  ['graph'],
  ['tensor', 'cell', 'state', 'pattern', 'compile'],
  ['ops'],
  ['distributed', 'data', 'io', 'optim', 'nn'],
  ['serve', 'tune', 'explain', 'audit', 'distill', 'transfer', 'train', 'models'],
  ['functional', 'index'],
  // What stands on the public face, as a user would.
  ['cases'],
  ['bench'],
  ['cli'],
]

// A room is a folder, or the file of that name.
const room = (names) => `^lib/(${names.join('|')})(/|\\.)`

const upward = FLOORS.flatMap((rooms, floor) => {
  const above = FLOORS.slice(floor + 1).flat()
  if (above.length === 0) return []
  return [
    {
      name: `${rooms[0]}-imports-down`,
      comment: `${rooms.join(', ')} may not import from a floor above`,
      severity: 'error',
      from: { path: room(rooms) },
      to: { path: room(above), dependencyTypesNot: ['type-only'] },
    },
  ]
})

module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'one-loader',
      comment: 'only lib/runtime/binding.ts loads the addon',
      severity: 'error',
      from: { pathNot: '^lib/runtime/binding\\.ts$' },
      to: { path: 'node-gyp-build' },
    },
    {
      name: 'schema-imports-nothing',
      severity: 'error',
      from: { path: '^lib/schema/' },
      to: { pathNot: '^lib/schema/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node'],
    },
  },
}
