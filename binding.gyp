{
  # A door for tools that expect node-gyp: the build itself is CMake's, started by the script npm run build:native runs.
  "targets": [
    {
      "target_name": "heddle",
      "type": "none",
      "actions": [
        {
          "action_name": "build_native",
          "inputs": [],
          # Never made, so the script is always run: it knows itself what is stale.
          "outputs": ["build/always"],
          "action": ["node", "scripts/build-native.mjs"]
        }
      ]
    }
  ]
}
