// For the programs that tests start: two of these run at a time, and with threads on all cores each would wait for the
// other's at every kernel.
export const ONE_THREAD = { OMP_NUM_THREADS: '1' }
