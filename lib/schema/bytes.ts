// Numbers of bytes in words.

/** Bytes as 512 B, 1.23 KiB or 45.6 MiB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit]}`
}
